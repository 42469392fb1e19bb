"""Devices' streams through the edge: going on after a break, silence, slowness, floods, forgeries; who may look in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
import grpc
import jwt
import pytest
from parley.gateway.v1 import admin_pb2, admin_pb2_grpc
from parley.gateway.v1 import messages_pb2 as events
from parley.gateway.v1 import service_pb2 as gateway
from parley.presence.v1 import messages_pb2 as routing
from parley.presence.v1 import service_pb2 as presence
from parley.presence.v1 import service_pb2_grpc as presence_grpc

from deploy import identities
from deploy.embedded.record import StackRecord
from parley_client.client import Device, Edge
from parley_client.delivery_checks import delivery_faults
from parley_client.stream import EventStream
from services.runtime.grpc.channels import connect
from tests.integration.api.conftest import DEADLINE_S, World, new_user, open_direct, read_to_the_end, refused, send
from tests.support.admins import admin_of
from tests.support.waiting import PATIENCE_S, eventually

# PING each 15 s and 10 s for its answer at the edge, 20 s and 10 s at the gateway, and a slow machine. With a minute
# for the answer, as gRPC has it where nothing is said, it would be 80 s.
SILENCE_DEADLINE_S = 60.0


def service_channel(record: StackRecord, service: str, caller: str) -> grpc.aio.Channel:
    """A channel of the caller to a service of ours."""
    tokens = identities.tokens_of(record.service_keys_folder, caller)
    return connect(record.grpc_addresses[service], tokens)


@pytest.fixture
async def admin(record: StackRecord) -> AsyncIterator[Any]:
    async with connect(record.admin_addresses["gateway"], admin_of(record, "operator")) as channel:
        yield admin_pb2_grpc.GatewayAdminServiceStub(channel)


async def devices_of(admin: Any, user_id: str) -> list[admin_pb2.DeviceStream]:
    answer = await admin.FindDevices(admin_pb2.FindDevicesRequest(user_id=user_id), timeout=PATIENCE_S)
    return list(answer.devices)


async def subscribe(device: Device, **fields: Any) -> tuple[Any, events.Ready]:
    """A stream of the device, read by hand, and its Ready."""
    call = device.gateway.Subscribe(gateway.SubscribeRequest(device_id=device.device_id, **fields))
    async with asyncio.timeout(DEADLINE_S):
        first = await call.read()
    assert isinstance(first, gateway.SubscribeResponse)
    assert first.event.HasField("ready")
    return call, first.event.ready


async def next_message(call: Any) -> gateway.SubscribeResponse:
    """The next message on a stream."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            response = await call.read()
            assert isinstance(response, gateway.SubscribeResponse)
            if response.event.HasField("message"):
                return response


async def calls_handled(record: StackRecord, service: str) -> float:
    """How many RPCs a service has answered."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{record.metrics_addresses[service]}/metrics") as response,
    ):
        text = await response.text()
    counts = re.findall(r'^grpc_server_handled_total\{[^}]*service="parley[^}]*\} (\S+)$', text, re.MULTILINE)
    return sum(map(float, counts))


async def test_a_stream_goes_on_with_exactly_what_was_missed_and_messaging_is_not_asked(
    world: World, record: StackRecord, admin: Any
) -> None:
    alice, bob, conversation_id = await world.pair()
    call, ready = await subscribe(bob)
    await send(alice, conversation_id, "before")
    position = (await next_message(call)).position
    assert position > 0
    call.cancel()
    await eventually(lambda: _is_detached(admin, bob.user_id), DEADLINE_S)
    missed = [(await send(alice, conversation_id, f"missed {number}")).seq for number in range(3)]
    asked = await calls_handled(record, "messaging")
    call, again = await subscribe(bob, resume_token=ready.resume_token, position=position)
    assert again.resumed
    assert [(await next_message(call)).event.message.seq for _ in missed] == missed
    assert await calls_handled(record, "messaging") == asked
    call.cancel()


async def test_the_headless_client_goes_on_without_a_sync_when_its_network_breaks(world: World) -> None:
    bob_id = new_user()
    async with relay(world.edge.address) as line:
        bob = Device(replace(world.edge, address=line.address), bob_id, "bob-phone")
        async with EventStream(bob) as stream:
            await stream.until_current(DEADLINE_S)
            alice = world.device()
            conversation_id = await open_direct(alice, bob_id)
            await send(alice, conversation_id, "one")
            inbox = stream.inbox
            arrived = inbox.message_arrived_s
            await stream.until(
                lambda: (conversation_id, 1) in arrived and stream.is_current, DEADLINE_S, "the first message"
            )
            line.cut()
            await send(alice, conversation_id, "two")
            await stream.until(lambda: (conversation_id, 2) in arrived, DEADLINE_S, "the second message")
            assert (inbox.readies, inbox.resumes >= 1) == (1, True)
        await bob.close()


@pytest.mark.parametrize("token", ["x", "A" * 54, "A" * 5_000, "%00"])
async def test_a_forged_resume_token_is_a_fresh_start(world: World, token: str) -> None:
    call, ready = await subscribe(world.device(), resume_token=token, position=7)
    assert not ready.resumed
    call.cancel()


async def test_a_stolen_resume_token_is_a_fresh_start_and_tells_nothing(world: World) -> None:
    alice, bob, conversation_id = await world.pair()
    call, ready = await subscribe(bob)
    call.cancel()
    await send(alice, conversation_id, "secret")
    thief = world.device(name=bob.device_id)
    stolen, fresh = await subscribe(thief, resume_token=ready.resume_token)
    assert not fresh.resumed
    own = await open_direct(thief, new_user())
    await send(thief, own, "mine")
    assert (await next_message(stolen)).event.message.conversation_id == own
    stolen.cancel()


async def test_a_device_that_claims_another_user_gets_only_its_own_users_events(world: World) -> None:
    # The user is whoever the token says; there is no field to claim another, so all that is left is the device's id.
    alice, bob, conversation_id = await world.pair()
    mallory = world.device(name=bob.device_id)
    call, _ = await subscribe(mallory)
    await mallory.presence.WatchPresence(
        presence.WatchPresenceRequest(device_id=bob.device_id, user_ids=[alice.user_id, bob.user_id])
    )
    await send(alice, conversation_id, "secret")
    own = await open_direct(mallory, new_user())
    await send(mallory, own, "mine")
    assert (await next_message(call)).event.message.conversation_id == own
    call.cancel()


async def test_a_typing_flood_is_refused_with_a_delay(world: World) -> None:
    alice, _, conversation_id = await world.pair()
    request = presence.SetTypingRequest(conversation_id=conversation_id, typing=True)
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "TYPING_TOO_OFTEN"):
        await asyncio.gather(*(alice.presence.SetTyping(request) for _ in range(50)))


async def test_of_too_many_devices_of_a_user_the_oldest_is_told(world: World) -> None:
    user_id = new_user()
    calls = [(await subscribe(world.device(user_id)))[0] for _ in range(21)]
    with refused(grpc.StatusCode.ABORTED, "DEVICE_LIMIT"):
        await read_to_the_end(calls[0])
    for call in calls[1:]:
        call.cancel()


async def test_a_device_that_never_reads_is_cut_off_with_bounded_memory_and_catches_up(
    world: World, admin: Any
) -> None:
    alice, bob, conversation_id = await world.pair()
    call, ready = await subscribe(bob)
    acknowledged, queued = [], 0
    # Enough to fill every window on the way; then the queue; then it is over.
    for _ in range(200):
        messages = await asyncio.gather(*(send(alice, conversation_id, "\N{GRINNING FACE}" * 9_000) for _ in range(4)))
        acknowledged += [(message.client_message_id, message.seq) for message in messages]
        streams = await devices_of(admin, bob.user_id)
        queued = max(queued, *(stream.queued_bytes for stream in streams), 0)
        if not any(not stream.detached for stream in streams):
            break
    await eventually(lambda: _is_gone(admin, bob.user_id), SILENCE_DEADLINE_S)
    assert queued <= 1 << 20
    # What had been written comes, and then the end; a device that is told nothing more starts anew, and must sync.
    with pytest.raises(grpc.aio.AioRpcError):
        await read_to_the_end(call)
    call, again = await subscribe(bob, resume_token=ready.resume_token)
    assert not again.resumed
    call.cancel()
    async with EventStream(bob) as stream:
        await stream.until_current(SILENCE_DEADLINE_S)
        assert delivery_faults(stream.inbox.conversations.history(conversation_id), acknowledged) == []


async def test_a_peer_that_goes_silent_is_found_at_the_edge_and_straight(
    world: World, record: StackRecord, admin: Any
) -> None:
    async with AsyncExitStack() as cleanup:
        lines, devices = [], {}
        for way, address in (("edge", record.edge_address), ("gateway", record.grpc_addresses["gateway"])):
            line = await cleanup.enter_async_context(relay(address))
            device = Device(Edge(line.address, record.issuer_url), new_user(), f"silent-{way}")
            cleanup.push_async_callback(device.close)
            await subscribe(device)
            (stream,) = await devices_of(admin, device.user_id)
            assert not stream.detached
            lines.append(line)
            devices[way] = device.user_id
        for line in lines:
            line.freeze()
        # Together, since each is mostly waiting.
        for way, user_id in devices.items():
            await eventually(partial(_is_gone, admin, user_id), SILENCE_DEADLINE_S, what=f"silence at the {way}")


async def test_an_operator_sees_the_gateway_its_slowest_devices_and_a_users_own(world: World, admin: Any) -> None:
    device = world.device()
    call, _ = await subscribe(device)
    described = await admin.DescribeGateway(admin_pb2.DescribeGatewayRequest(), timeout=PATIENCE_S)
    assert described.devices >= 1
    assert described.replicas
    assert not described.draining
    slowest = await admin.ListSlowestDevices(admin_pb2.ListSlowestDevicesRequest(limit=1), timeout=PATIENCE_S)
    assert len(slowest.devices) == 1
    (own,) = await devices_of(admin, device.user_id)
    assert (own.device_id, own.queued_frames, own.detached) == (device.device_id, 0, False)
    assert await devices_of(admin, new_user()) == []
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"):
        await devices_of(admin, "")
    call.cancel()


@pytest.mark.parametrize("who", ["user", "stranger", "nobody"])
async def test_only_operators_look_into_a_gateway_and_only_gateways_attach_to_a_router(
    world: World, record: StackRecord, who: str
) -> None:
    metadata = {
        "user": (("authorization", f"Bearer {await world.device().tokens.token()}"),),
        "stranger": (("authorization", f"Bearer {_forged()}"),),
        "nobody": (),
    }[who]
    async with (
        grpc.aio.insecure_channel(record.admin_addresses["gateway"]) as to_gateway,
        grpc.aio.insecure_channel(record.grpc_addresses["presence"]) as to_presence,
    ):
        admin: Any = admin_pb2_grpc.GatewayAdminServiceStub(to_gateway)
        with refused(grpc.StatusCode.UNAUTHENTICATED):
            await admin.DescribeGateway(admin_pb2.DescribeGatewayRequest(), timeout=PATIENCE_S, metadata=metadata)
        router: Any = presence_grpc.RouterServiceStub(to_presence)
        # Refused by its credentials, before it says who it is: grpc.aio tells of a Hello that comes too late otherwise.
        with refused(grpc.StatusCode.UNAUTHENTICATED):
            await router.Attach(timeout=PATIENCE_S, metadata=metadata).read()


async def test_a_gateway_that_claims_sessions_that_it_does_not_have_takes_nothing_from_who_has_them(
    world: World, record: StackRecord
) -> None:
    alice, bob, conversation_id = await world.pair()
    async with service_channel(record, "presence", "gateway") as channel:
        router: Any = presence_grpc.RouterServiceStub(channel)
        attached = router.Attach()
        await attached.write(presence.AttachRequest(hello=routing.Hello(gateway_id="liar")))
        assignment = (await attached.read()).assignment
        claim = routing.Session(session_id=1, user_id=bob.user_id, device_id=bob.device_id)
        register = routing.Register(sessions=[claim], epoch=assignment.epoch)
        await attached.write(presence.AttachRequest(register=register))
        await attached.write(presence.AttachRequest(registered=routing.Registered(epoch=assignment.epoch)))
        call, _ = await subscribe(bob)
        # It cannot end the device's stream either: its ids are its own.
        await attached.write(presence.AttachRequest(unregister=routing.Unregister(session_ids=range(1, 500))))
        await send(alice, conversation_id, "hello")
        assert (await next_message(call)).event.message.seq == 1
        call.cancel()
        attached.cancel()


async def _is_detached(admin: Any, user_id: str) -> bool:
    streams = await devices_of(admin, user_id)
    return bool(streams) and all(stream.detached for stream in streams)


async def _is_gone(admin: Any, user_id: str) -> bool:
    return all(stream.detached for stream in await devices_of(admin, user_id))


def _forged() -> str:
    claims = {"sub": "service:gateway", "aud": "parley-internal", "exp": 4_000_000_000}
    return jwt.encode(claims, b"another key of thirty-two bytes..", algorithm="HS256")


class Line:
    """A network line to an address, that can be cut, and that can fall silent while it looks open."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._frozen = False
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.address = ""

    def cut(self) -> None:
        """All connections break; new ones are let through."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def freeze(self) -> None:
        """Nothing is read or written any more, and nothing is closed."""
        self._frozen = True
        for task in self._tasks:
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._target.rpartition(":")
        back, forth = await asyncio.open_connection(host, int(port))
        self._writers += [writer, forth]
        if not self._frozen:
            self._tasks += [asyncio.create_task(_pump(reader, forth)), asyncio.create_task(_pump(back, writer))]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    else:
        writer.close()


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[Line]:
    """A line to `target`, open for the length of the block."""
    line = Line(target)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        line.freeze()
        line.cut()
        server.close()
