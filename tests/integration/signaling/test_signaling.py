"""The whole service as wiring builds it, over gRPC, PostgreSQL and the broker; its neighbours are made of protos."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2, service_pb2_grpc
from parley.calls.v1 import service_pb2 as api
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence_events

from services.runtime.bus import KafkaPublisher
from services.runtime.errors import DETAILS_KEY, reason_of
from services.runtime.lifecycle import App
from services.signaling.config import Config
from services.signaling.wiring import build
from tests.integration.signaling.neighbours import (
    JOIN_KEY,
    SERVICE_KEY,
    Draining,
    FakeSfu,
    Issuer,
    Reader,
    SdpRefused,
    WorkerFull,
    kafka_config,
    membership_server,
)
from tests.unit.signaling.waiting import eventually

PHONE, TABLET, LAPTOP = "phone-01", "tablet-1", "laptop-1"
RINGING_ACTIVE_ENDED = [
    messages_pb2.CALL_STATE_RINGING,
    messages_pb2.CALL_STATE_ACTIVE,
    messages_pb2.CALL_STATE_ENDED,
]
FAILED = grpc.StatusCode.FAILED_PRECONDITION


@dataclass
class Town:
    """Signaling and its neighbours, and two users with a conversation."""

    env: dict[str, str]
    issuer: Issuer
    publisher: KafkaPublisher
    sfu: FakeSfu
    conversation_id: str
    alice: str
    bob: str
    stack: AsyncExitStack
    apps: list[App] = field(default_factory=list)
    channels: list[grpc.aio.Channel] = field(default_factory=list)

    async def run(self, **env: str) -> App:
        """Start a replica of signaling, and wait until it is ready."""
        app = build(Config.from_env(self.env | env))
        await app.start()
        self.apps.append(app)
        assert app.server is not None
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.server.port}")
        self.channels.append(channel)
        health = health_pb2_grpc.HealthStub(channel)

        async def is_ready() -> bool:
            answer = await health.Check(health_pb2.HealthCheckRequest(service="readiness"))
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        await eventually(is_ready, 30)
        return app

    async def crash(self, app: App) -> None:
        """A replica goes; whatever it held in memory is lost."""
        index = self.apps.index(app)
        await self.channels.pop(index).close()
        self.apps.pop(index)
        await app.stop()

    def user(self, user_id: str, replica: int = 0) -> "User":
        """One user's client, at a replica."""
        return User(self.channels[replica], (("authorization", f"Bearer {self.issuer.token(user_id)}"),))

    async def ring(self, replica: int = 0) -> api.StartCallResponse:
        """Alice's phone calls Bob, once a worker is known."""
        alice = self.user(self.alice, replica)
        answers: list[api.StartCallResponse] = []
        request = api.StartCallRequest(
            conversation_id=self.conversation_id, video=True, device_id=PHONE, client_call_id=str(uuid4())
        )

        async def is_placed() -> bool:
            return await attempt(alice.call("StartCall", request), answers, "NO_MEDIA_WORKER")

        await eventually(is_placed)
        return answers[0]

    async def answered(self) -> tuple[api.StartCallResponse, api.AcceptCallResponse]:
        """Alice's phone calls Bob, and his tablet takes it."""
        start = await self.ring()
        accept = api.AcceptCallRequest(call_id=start.call.call_id, device_id=TABLET)
        return start, await self.user(self.bob).call("AcceptCall", accept)


@dataclass(frozen=True)
class User:
    """Calls RPCs with a user's token."""

    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...] = ()

    async def call(self, name: str, request: Any) -> Any:
        stub = service_pb2_grpc.CallsServiceStub(self.channel)
        return await getattr(stub, name)(request, metadata=self.metadata, timeout=10)

    async def join(self, grant: messages_pb2.MediaGrant, offer: str = "offer") -> str:
        request = api.JoinMediaRequest(join_token=grant.join_token, sdp_offer=offer)
        return str((await self.call("JoinMedia", request)).sdp_answer)

    async def state(self, call_id: str) -> tuple[int, int]:
        """State and end reason."""
        call = (await self.call("GetCall", api.GetCallRequest(call_id=call_id))).call
        return call.state, call.end_reason


async def attempt(call: Awaitable[Any], answers: list[Any], *passing: str) -> bool:
    """Whether the call was answered; the answer is put into the list. Some refusals pass by themselves."""
    try:
        answers.append(await call)
    except grpc.aio.AioRpcError as error:
        if reason_of(error) not in passing:
            raise
        return False
    return True


@asynccontextmanager
async def refused(code: grpc.StatusCode, reason: str) -> AsyncIterator[list[status_pb2.Status]]:
    """The block must end in that refusal; its google.rpc.Status is put into the list."""
    details: list[status_pb2.Status] = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield details
    assert (caught.value.code(), reason_of(caught.value)) == (code, reason)
    raw = dict(caught.value.trailing_metadata() or ())[DETAILS_KEY]
    details.append(status_pb2.Status.FromString(raw))


def find_detail(status: status_pb2.Status, kind: Any) -> Any:
    """The detail of that kind."""
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    raise AssertionError(f"no {kind.DESCRIPTOR.name}")


@pytest.fixture
async def town(database_url: str, broker: str, tmp_path: Path) -> AsyncIterator[Town]:
    alice, bob, conversation_id = f"alice-{uuid4().hex[:8]}", f"bob-{uuid4().hex[:8]}", str(uuid4())
    async with AsyncExitStack() as stack:
        publisher = KafkaPublisher(kafka_config(broker))
        messaging = membership_server({conversation_id: [alice, bob]})
        sfu = FakeSfu(f"sfu-{uuid4().hex[:8]}", publisher)
        issuer = Issuer(tmp_path)
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        await eventually(publisher.ready, 30)
        for part in (messaging, issuer, sfu):
            await part.start()
            stack.push_async_callback(part.stop)
        env = {
            "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
            "PARLEY_DRAIN_GRACE_S": "0",
            "PARLEY_JWKS_URL": issuer.url,
            "PARLEY_JWT_ISSUER": "https://dev-issuer.parley.invalid",
            "PARLEY_SERVICE_KEY": base64.b64encode(SERVICE_KEY).decode(),
            "PARLEY_JOIN_TOKEN_KEY": base64.b64encode(JOIN_KEY).decode(),
            "PARLEY_KAFKA_BOOTSTRAP": broker,
            "PARLEY_KAFKA_IDEMPOTENT": "false",
            "PARLEY_KAFKA_FETCH_WAIT_MS": "50",
            "PARLEY_MEDIA_SETTLE_S": "1",
            "PARLEY_DATABASE_URL": database_url,
            "PARLEY_MESSAGING_ADDRESS": f"127.0.0.1:{messaging.port}",
        }
        made = Town(env, issuer, publisher, sfu, conversation_id, alice, bob, stack)
        yield made
        for app in list(made.apps):
            await made.crash(app)


async def read(town: Town, broker: str, topic: str) -> Reader:
    reader = Reader(broker, topic, town.publisher)
    await reader.start()
    town.stack.push_async_callback(reader.stop)
    return reader


async def ends(user: User, call_id: str, reason: int) -> None:
    """Wait until the call has ended, and for that reason."""

    async def has_ended() -> bool:
        return (await user.state(call_id))[0] == messages_pb2.CALL_STATE_ENDED

    await eventually(has_ended, 20)
    assert await user.state(call_id) == (messages_pb2.CALL_STATE_ENDED, reason)


async def test_a_call_from_ring_to_hang_up(town: Town, broker: str) -> None:
    await town.run()
    events, deliveries = await read(town, broker, "calls.events.v1"), await read(town, broker, "delivery.v1")
    start, accept = await town.answered()
    call_id = start.call.call_id
    alice, bob = town.user(town.alice), town.user(town.bob)
    assert [seat.device_id for seat in accept.call.participants] == [PHONE, TABLET]
    assert await alice.join(start.grant, "hers") == f"answer of {town.sfu.worker_id} to hers"
    assert await bob.join(accept.grant, "his") == f"answer of {town.sfu.worker_id} to his"
    assert [(claims["sub"], claims["device"]) for claims in town.sfu.joined] == [
        (town.alice, PHONE),
        (town.bob, TABLET),
    ]
    ended = await bob.call("LeaveCall", api.LeaveCallRequest(call_id=call_id, device_id=TABLET))
    assert ended.call.end_reason == messages_pb2.END_REASON_HUNG_UP

    async def everyone_knows() -> bool:
        changed = [calls_events.CallEvent.FromString(value) for value in events.values()]
        told = [event.call_changed.call for event in changed if event.HasField("call_changed")]
        frames = [presence_events.Delivery.FromString(value) for value in deliveries.values()]
        shown = [(to.user_id, gateway_service.SubscribeResponse.FromString(to.frame).event.call) for to in frames]
        histories = [[call.state for call in told if call.call_id == call_id]]
        for user_id in (town.alice, town.bob):
            histories.append([call.state for to, call in shown if to == user_id])
        return histories == [RINGING_ACTIVE_ENDED] * 3

    async def media_is_closed() -> bool:
        return call_id in town.sfu.ended

    await eventually(everyone_knows)
    await eventually(media_is_closed)


async def test_other_devices_are_told_answered_elsewhere(town: Town) -> None:
    await town.run()
    start, accept = await town.answered()
    bob = town.user(town.bob)
    request = api.AcceptCallRequest(call_id=start.call.call_id, device_id=LAPTOP)
    async with refused(FAILED, "ANSWERED_ELSEWHERE"):
        await bob.call("AcceptCall", request)
    again = await bob.call("AcceptCall", api.AcceptCallRequest(call_id=start.call.call_id, device_id=TABLET))
    assert again.call == accept.call


async def test_any_replica_serves_any_request(town: Town) -> None:
    await town.run()
    await town.run()
    start = await town.ring(replica=0)
    request = api.DeclineCallRequest(call_id=start.call.call_id)
    declined = await town.user(town.bob, replica=1).call("DeclineCall", request)
    assert declined.call.end_reason == messages_pb2.END_REASON_DECLINED
    listed = await town.user(town.alice, replica=0).call("ListActiveCalls", api.ListActiveCallsRequest())
    assert list(listed.calls) == []


async def test_an_unanswered_call_is_missed(town: Town) -> None:
    await town.run(PARLEY_RING_TIMEOUT_S="0.3")
    start = await town.ring()
    await ends(town.user(town.alice), start.call.call_id, messages_pb2.END_REASON_MISSED)


async def test_a_ring_ends_even_when_its_replica_crashes(town: Town) -> None:
    first = await town.run(PARLEY_RING_TIMEOUT_S="1")
    start = await town.ring()
    await town.crash(first)
    await town.run()
    await ends(town.user(town.alice), start.call.call_id, messages_pb2.END_REASON_MISSED)


async def test_a_call_whose_media_never_comes_ends(town: Town) -> None:
    await town.run(PARLEY_MEDIA_LOST_TIMEOUT_S="0.5")
    town.sfu.reports_media = False
    start, _ = await town.answered()
    await ends(town.user(town.bob), start.call.call_id, messages_pb2.END_REASON_MEDIA_LOST)


async def test_a_call_whose_media_is_lost_for_good_ends(town: Town) -> None:
    await town.run(PARLEY_MEDIA_LOST_TIMEOUT_S="2")
    start, accept = await town.answered()
    await town.user(town.alice).join(start.grant)
    await town.user(town.bob).join(accept.grant)
    await town.sfu.report(town.sfu.joined[1], connected=False)
    await ends(town.user(town.bob), start.call.call_id, messages_pb2.END_REASON_MEDIA_LOST)


async def test_a_call_survives_the_crash_of_its_worker(town: Town) -> None:
    await town.run()
    start, accept = await town.answered()
    alice, bob = town.user(town.alice), town.user(town.bob)
    await alice.join(start.grant)
    await town.sfu.crash()
    async with refused(grpc.StatusCode.UNAVAILABLE, "MEDIA_UNAVAILABLE") as details:
        await bob.join(accept.grant)
    assert find_detail(details[0], error_details_pb2.RetryInfo).HasField("retry_delay")
    other = FakeSfu(f"sfu-{uuid4().hex[:8]}", town.publisher)
    await other.start()
    town.stack.push_async_callback(other.stop)

    async def rejoin(user: User, device_id: str) -> None:
        renew = api.RenewMediaGrantRequest(call_id=start.call.call_id, device_id=device_id)
        answers: list[str] = []

        async def renew_and_join() -> str:
            return await user.join((await user.call("RenewMediaGrant", renew)).grant)

        async def has_moved() -> bool:
            return await attempt(renew_and_join(), answers, "MEDIA_UNAVAILABLE", "NO_MEDIA_WORKER")

        await eventually(has_moved, 20)
        assert answers == [f"answer of {other.worker_id} to offer"]

    await asyncio.gather(rejoin(alice, PHONE), rejoin(bob, TABLET))
    assert (await alice.state(start.call.call_id))[0] == messages_pb2.CALL_STATE_ACTIVE


async def test_what_the_worker_refuses_reaches_the_client(town: Town) -> None:
    await town.run()
    start = await town.ring()
    alice = town.user(town.alice)
    town.sfu.refusal = SdpRefused("m-line 2 has no mid")
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "SDP_INVALID") as details:
        await alice.join(start.grant)
    assert details[0].message == "m-line 2 has no mid"
    for fault in (WorkerFull(), Draining()):
        town.sfu.refusal = fault
        async with refused(grpc.StatusCode.UNAVAILABLE, "MEDIA_UNAVAILABLE") as details:
            await alice.join(start.grant)
        assert find_detail(details[0], error_details_pb2.RetryInfo).HasField("retry_delay")


async def test_every_refusal_has_its_documented_reason(town: Town) -> None:
    await town.run()
    alice, bob, carol = town.user(town.alice), town.user(town.bob), town.user("carol")
    start = await town.ring()
    call_id, nowhere = start.call.call_id, str(uuid4())
    place = api.StartCallRequest(conversation_id=town.conversation_id, device_id=PHONE, client_call_id="other")
    not_found, permission = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED
    foreign = api.JoinMediaRequest(join_token=start.grant.join_token, sdp_offer="offer")
    forged = api.JoinMediaRequest(join_token="a.b.c", sdp_offer="offer")
    ringing: list[tuple[Awaitable[Any], grpc.StatusCode, str]] = [
        (alice.call("StartCall", place), FAILED, "ALREADY_IN_CALL"),
        (carol.call("StartCall", place), not_found, "CONVERSATION_NOT_FOUND"),
        (alice.call("AcceptCall", api.AcceptCallRequest(call_id=call_id, device_id=PHONE)), FAILED, "NOT_CALLEE"),
        (alice.call("DeclineCall", api.DeclineCallRequest(call_id=call_id)), FAILED, "NOT_CALLEE"),
        (bob.call("CancelCall", api.CancelCallRequest(call_id=call_id)), FAILED, "NOT_CALLER"),
        (carol.call("GetCall", api.GetCallRequest(call_id=call_id)), not_found, "CALL_NOT_FOUND"),
        (alice.call("GetCall", api.GetCallRequest(call_id=nowhere)), not_found, "CALL_NOT_FOUND"),
        (
            bob.call("RenewMediaGrant", api.RenewMediaGrantRequest(call_id=call_id, device_id=TABLET)),
            FAILED,
            "NOT_IN_CALL",
        ),
        (bob.call("JoinMedia", foreign), permission, "JOIN_TOKEN_INVALID"),
        (alice.call("JoinMedia", forged), permission, "JOIN_TOKEN_INVALID"),
    ]
    for call, code, reason in ringing:
        async with refused(code, reason):
            await call
    accept = api.AcceptCallRequest(call_id=call_id, device_id=TABLET)
    await bob.call("AcceptCall", accept)
    for call in (
        bob.call("DeclineCall", api.DeclineCallRequest(call_id=call_id)),
        alice.call("CancelCall", api.CancelCallRequest(call_id=call_id)),
    ):
        async with refused(FAILED, "ALREADY_ANSWERED"):
            await call
    await alice.call("LeaveCall", api.LeaveCallRequest(call_id=call_id, device_id=PHONE))
    renew = api.RenewMediaGrantRequest(call_id=call_id, device_id=PHONE)
    for call in (
        bob.call("AcceptCall", accept),
        alice.call("RenewMediaGrant", renew),
        alice.join(start.grant),
    ):
        async with refused(FAILED, "CALL_ENDED"):
            await call


async def test_a_faulty_field_is_named(town: Town) -> None:
    await town.run()
    some = str(uuid4())
    faulty: list[tuple[str, Any, str]] = [
        ("StartCall", api.StartCallRequest(device_id=PHONE, client_call_id="c"), "conversation_id"),
        ("StartCall", api.StartCallRequest(conversation_id=some, device_id="no", client_call_id="c"), "device_id"),
        ("StartCall", api.StartCallRequest(conversation_id=some, device_id=PHONE), "client_call_id"),
        ("AcceptCall", api.AcceptCallRequest(call_id="x", device_id=PHONE), "call_id"),
        ("AcceptCall", api.AcceptCallRequest(call_id=some), "device_id"),
        ("LeaveCall", api.LeaveCallRequest(call_id=some, device_id="a" * 65), "device_id"),
        ("GetCall", api.GetCallRequest(), "call_id"),
        ("JoinMedia", api.JoinMediaRequest(join_token="t"), "sdp_offer"),
        ("JoinMedia", api.JoinMediaRequest(join_token="t", sdp_offer="v" * 65_537), "sdp_offer"),
    ]
    for name, request, field_name in faulty:
        async with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as details:
            await town.user(town.alice).call(name, request)
        violations = find_detail(details[0], error_details_pb2.BadRequest).field_violations
        assert [violation.field for violation in violations] == [field_name]


async def test_nobody_calls_without_a_valid_token(town: Town) -> None:
    await town.run()
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    request = api.ListActiveCallsRequest()
    expired = (("authorization", f"Bearer {town.issuer.token(town.alice, ttl_s=-10)}"),)
    for metadata, reason in (
        ((), "TOKEN_MISSING"),
        ((("authorization", "Bearer nonsense"),), "TOKEN_INVALID"),
        (expired, "TOKEN_EXPIRED"),
    ):
        async with refused(unauthenticated, reason):
            await User(town.channels[0], metadata).call("ListActiveCalls", request)
