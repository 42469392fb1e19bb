"""Signed out and deleted: what a token is worth then, at every service, and what ends with it."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import asyncpg
import grpc
import pytest
from parley.accounts.v1 import service_pb2, service_pb2_grpc
from parley.calls.v1 import service_pb2 as calls
from parley.calls.v1.service_pb2_grpc import CallsServiceStub
from parley.gateway.v1 import service_pb2 as gateway
from parley.gateway.v1.service_pb2_grpc import GatewayServiceStub
from parley.messaging.v1 import accounts_pb2 as accounts
from parley.messaging.v1 import accounts_pb2_grpc

from deploy.embedded.record import StackRecord
from parley_client.calls import ACTIVE, ENDED
from parley_client.client import http_login
from parley_client.error_details import reason_of
from services.runtime.grpc.channels import connect
from tests.integration.api.conftest import DEADLINE_S, World, new_user, read_to_the_end, refused
from tests.integration.api.test_calls import until_call
from tests.integration.api.test_tokens import CALLS, bearer
from tests.support.account_jobs import finished
from tests.support.admins import admin_of
from tests.support.waiting import PATIENCE_S, eventually

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
FAILED = grpc.StatusCode.FAILED_PRECONDITION
DELETED, REVOKED = (FAILED, "ACCOUNT_DELETED"), (UNAUTHENTICATED, "TOKEN_REVOKED")


async def login(record: StackRecord, user_id: str, device_id: str = "") -> str:
    """A token of the user, of the device if one is named."""
    return (await http_login(record.issuer_url, device_id=device_id)(user_id)).value


async def new_login(record: StackRecord, user_id: str, valid_from: int, device_id: str = "") -> str:
    """A token that was issued when new ones are good again."""
    found: list[str] = []

    async def is_new() -> bool:
        found.append(await login(record, user_id, device_id))
        payload = found[-1].split(".")[1]
        return bool(json.loads(base64.urlsafe_b64decode(payload + "=="))["iat"] >= valid_from)

    await eventually(is_new, what="a token of the next second")
    return found[-1]


class Signed:
    """What one token can do, straight at the services, where nobody else judges it before."""

    def __init__(self, record: StackRecord, token: str, device_id: str) -> None:
        self.device_id = device_id
        self.metadata = bearer(token)
        self.channels = {
            service: grpc.aio.insecure_channel(record.grpc_addresses[service])
            for service in ("messaging", "signaling", "gateway")
        }

    async def close(self) -> None:
        for channel in self.channels.values():
            await channel.close()

    @property
    def account(self) -> Any:
        return accounts_pb2_grpc.AccountServiceStub(self.channels["messaging"])

    async def sign_out(self, *device_ids: str) -> int:
        """Signs devices out, without any named all others; from when on tokens are good."""
        if device_ids:
            request = accounts.SignOutDevicesRequest(device_ids=device_ids)
            answer = await self.account.SignOutDevices(request, metadata=self.metadata, timeout=PATIENCE_S)
        else:
            others = accounts.SignOutOtherDevicesRequest()
            answer = await self.account.SignOutOtherDevices(others, metadata=self.metadata, timeout=PATIENCE_S)
        return int(answer.tokens_valid_from_time.seconds)

    def stream(self) -> Any:
        """The device's event stream."""
        stub: Any = GatewayServiceStub(self.channels["gateway"])
        return stub.Subscribe(gateway.SubscribeRequest(device_id=self.device_id), metadata=self.metadata, timeout=120)

    async def opened(self) -> Any:
        """The stream, once it is ready."""
        call = self.stream()
        assert await call.read() is not grpc.aio.EOF
        return call

    async def answers(self) -> dict[str, str]:
        """What each service says to the token: the reason of its refusal, or nothing."""
        said = {}
        for service, call in CALLS:
            said[call.__name__] = await reason(call(self.channels[service], self.metadata))
        return said

    async def until_all_say(self, wanted: str) -> None:
        """Waits until every service says so: each hears of it from Kafka."""
        said: dict[str, str] = {}

        async def do_all() -> bool:
            said.update(await self.answers())
            return set(said.values()) == {wanted}

        await eventually(do_all, what=f"{wanted or 'an answer'} of all; last {said}")


async def reason(call: Awaitable[object]) -> str:
    """Why it was refused; nothing when it was answered."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    return ""


MakeSigned = Callable[..., Awaitable[Signed]]


@pytest.fixture
async def signed(record: StackRecord) -> AsyncIterator[MakeSigned]:
    """Makes tokens of a user, and closes their channels."""
    made: list[Signed] = []

    async def make(user_id: str, device_id: str, *, bound: bool = True, token: str = "") -> Signed:
        token = token or await login(record, user_id, device_id if bound else "")
        made.append(Signed(record, token, device_id))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
async def office(record: StackRecord) -> AsyncIterator[Any]:
    """The network's back office."""
    async with connect(record.admin_addresses["messaging"], admin_of(record, "privacy")) as channel:
        yield accounts_pb2_grpc.AccountAdminServiceStub(channel)


def named(name: str) -> str:
    """A device id."""
    return f"{name}-{secrets.token_hex(4)}"


async def test_a_deleted_account_is_refused_by_every_service_and_its_streams_end(signed: MakeSigned) -> None:
    user = new_user()
    phone, tablet = await signed(user, named("phone")), await signed(user, named("tablet"), bound=False)
    streams = [await one.opened() for one in (phone, tablet)]
    request = accounts.DeleteAccountRequest(confirm_user_id=user)
    await phone.account.DeleteAccount(request, metadata=phone.metadata, timeout=PATIENCE_S)
    for stream in streams:
        with refused(*DELETED):
            await read_to_the_end(stream)
    for one in (phone, tablet):
        await one.until_all_say("ACCOUNT_DELETED")
    # How the deletion stands can still be asked.
    again = await phone.account.DeleteAccount(request, metadata=phone.metadata, timeout=PATIENCE_S)
    assert again.job.kind == accounts.JOB_KIND_DELETION


async def test_the_other_devices_are_signed_out_and_ones_own_stays(record: StackRecord, signed: MakeSigned) -> None:
    user = new_user()
    mine, other = await signed(user, named("phone")), await signed(user, named("tablet"))
    unbound = await signed(user, named("laptop"), bound=False)
    kept, *ended = [await one.opened() for one in (mine, other, unbound)]
    valid_from = await mine.sign_out()
    for stream in ended:
        with refused(*REVOKED):
            await read_to_the_end(stream)
    for one in (other, unbound):
        await one.until_all_say("TOKEN_REVOKED")
        with refused(*REVOKED):
            await one.sign_out()
    assert not kept.done()
    assert set((await signed_as(mine, CALLS[:3])).values()) == {""}
    kept.cancel()
    back = await signed(user, other.device_id, token=await new_login(record, user, valid_from, other.device_id))
    assert not (await back.opened()).done()


async def signed_as(one: Signed, some: list[Any]) -> dict[str, str]:
    """What the services say to calls that name no device of their own."""
    said = {}
    for service, call in some:
        if call.__name__ != "watch_presence":
            said[call.__name__] = await reason(call(one.channels[service], one.metadata))
    return said


async def test_without_a_device_claim_all_are_signed_out_and_a_new_token_is_good(
    record: StackRecord, signed: MakeSigned
) -> None:
    user = new_user()
    mine = await signed(user, named("phone"), bound=False)
    stream = await mine.opened()
    valid_from = await mine.sign_out()
    with refused(*REVOKED):
        await read_to_the_end(stream)
    await mine.until_all_say("TOKEN_REVOKED")
    anew = await signed(user, mine.device_id, token=await new_login(record, user, valid_from))
    await anew.until_all_say("")


async def test_one_device_is_signed_out_and_the_others_stay(record: StackRecord, signed: MakeSigned) -> None:
    user = new_user()
    mine, stolen = await signed(user, named("phone")), await signed(user, named("stolen"))
    kept, ended = await mine.opened(), await stolen.opened()
    valid_from = await mine.sign_out(stolen.device_id)
    with refused(*REVOKED):
        await read_to_the_end(ended)
    await stolen.until_all_say("TOKEN_REVOKED")
    # Under another name it comes no further.
    disguised = await signed(user, named("disguise"), token=stolen.metadata[0][1].removeprefix("Bearer "))
    with refused(*REVOKED):
        await read_to_the_end(disguised.stream())
    assert not kept.done()
    kept.cancel()
    back = await signed(user, stolen.device_id, token=await new_login(record, user, valid_from, stolen.device_id))
    assert not (await back.opened()).done()


async def test_without_a_device_claim_a_device_that_is_signed_out_loses_its_stream_and_may_not_name_itself(
    signed: MakeSigned,
) -> None:
    user = new_user()
    mine = await signed(user, named("phone"), bound=False)
    lost = await signed(user, named("lost"), bound=False)
    kept, ended = await mine.opened(), await lost.opened()
    await mine.sign_out(lost.device_id)
    with refused(*REVOKED):
        await read_to_the_end(ended)
    with refused(*REVOKED):
        await read_to_the_end(lost.stream())
    assert not kept.done()
    kept.cancel()


async def test_a_token_of_one_device_opens_no_stream_and_no_call_for_another(signed: MakeSigned) -> None:
    user = new_user()
    one = await signed(user, named("phone"))
    one.device_id = named("other")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"):
        await read_to_the_end(one.stream())
    stub: Any = CallsServiceStub(one.channels["signaling"])
    conversation = "0190f000-0000-7000-8000-000000000001"
    for call in (
        stub.StartCall(
            calls.StartCallRequest(device_id=one.device_id, conversation_id=conversation, client_call_id="a"),
            metadata=one.metadata,
        ),
        stub.JoinCall(calls.JoinCallRequest(device_id=one.device_id, call_id=conversation), metadata=one.metadata),
        stub.TakeOverCall(
            calls.TakeOverCallRequest(device_id=one.device_id, call_id=conversation), metadata=one.metadata
        ),
        stub.RenewMediaGrant(
            calls.RenewMediaGrantRequest(device_id=one.device_id, call_id=conversation), metadata=one.metadata
        ),
    ):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"):
            await call


async def test_the_back_office_signs_a_user_out_and_the_user_is_out_of_calls(world: World, office: Any) -> None:
    alice, bob, conversation = await world.pair_online()
    call = await alice.phone.start(conversation)
    await bob.phone.until_ring(DEADLINE_S)
    await bob.phone.accept(call.call_id)
    await until_call(alice, call.call_id, ACTIVE)
    await office.SignOutUser(accounts.SignOutUserRequest(user_id=bob.user_id), timeout=PATIENCE_S)
    ended = await until_call(alice, call.call_id, ENDED)
    assert ended.end_reason
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"):
        await office.SignOutUser(accounts.SignOutUserRequest(user_id=bob.user_id, device_ids=["x"]), timeout=PATIENCE_S)


@pytest.mark.parametrize("way", ["ringing", "talking"])
async def test_the_calls_of_a_deleted_account_end_and_nothing_of_them_stays(
    world: World, record: StackRecord, way: str
) -> None:
    alice, bob, conversation = await world.pair_online()
    call = await alice.phone.start(conversation)
    await bob.phone.until_ring(DEADLINE_S)
    if way == "talking":
        await bob.phone.accept(call.call_id)
        await until_call(alice, call.call_id, ACTIVE)
    await bob.device.account.DeleteAccount(accounts.DeleteAccountRequest(confirm_user_id=bob.user_id))
    await until_call(alice, call.call_id, ENDED)
    connection = await asyncpg.connect(record.database_urls["parley_signaling"])
    try:

        async def is_gone() -> bool:
            rows = "SELECT count(*) FROM participants p FULL JOIN media_quality q USING (user_id) WHERE user_id = $1"
            return int(await connection.fetchval(rows, bob.user_id)) == 0

        await eventually(is_gone, what="nothing of the deleted person in signaling")
    finally:
        await connection.close()
    listed = await alice.device.calls.ListCalls(calls.ListCallsRequest())
    (entry,) = listed.calls
    assert [person.user_id for person in entry.call.participants] == [alice.user_id]


async def test_an_export_holds_calls_and_presence(world: World, record: StackRecord) -> None:
    alice, bob, conversation = await world.pair_online()
    call = await alice.phone.start(conversation)
    await bob.phone.until_ring(DEADLINE_S)
    await bob.phone.decline(call.call_id)
    await until_call(alice, call.call_id, ENDED)
    # Presence writes states down in the background.
    connection = await asyncpg.connect(record.database_urls["parley_presence"])
    try:

        async def is_written() -> bool:
            count = await connection.fetchval("SELECT count(*) FROM user_states WHERE user_id = $1", alice.user_id)
            return bool(count == 1)

        await eventually(is_written, what="the state of the person in presence")
    finally:
        await connection.close()
    started = (await alice.device.account.StartExport(accounts.StartExportRequest())).job
    job = await finished(alice.device, started)
    lines = []
    async with aiohttp.ClientSession() as session:
        for url in job.download_urls:
            async with session.get(url) as response:
                lines += [json.loads(line) for line in (await response.text()).splitlines()]
    assert [line["source"] for line in lines if line["type"] == "source"] == ["signaling", "presence", "push"]
    (told,) = [line["call"]["call"] for line in lines if line["type"] == "call"]
    assert told["call_id"] == call.call_id
    assert {line["presence"]["user_id"] for line in lines if line["type"] == "presence"} == {alice.user_id}


async def test_only_services_read_what_others_hold_of_a_person(record: StackRecord) -> None:
    for service in ("signaling", "presence"):
        token = await login(record, new_user())
        async with grpc.aio.insecure_channel(record.grpc_addresses[service]) as channel:
            stub: Any = service_pb2_grpc.AccountDataServiceStub(channel)
            for metadata in ((), bearer(token)):
                with refused(UNAUTHENTICATED):
                    await stub.ReadAccount(service_pb2.ReadAccountRequest(user_id="alice"), metadata=metadata)
    async with grpc.aio.insecure_channel(record.edge_address) as channel:
        stub = service_pb2_grpc.AccountDataServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ReadAccount(service_pb2.ReadAccountRequest(user_id="alice"), timeout=PATIENCE_S)
