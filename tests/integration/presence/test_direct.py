"""Deliveries handed to presence over a real connection that is cut, hangs, or leads to an older release."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from parley.presence.v1 import events_pb2, messages_pb2
from parley.presence.v1 import service_pb2 as api

from services.presence.consumer import TOPIC, Deliveries
from services.presence.core.model import UserId
from services.runtime.delivery.direct import DirectDelivery
from services.runtime.delivery.queue import QUEUE_LIMIT
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import connect
from services.runtime.kafka.bus import Incoming, Outgoing
from services.runtime.partitions import partition_of
from services.signaling.clients import RoutedDevices
from services.signaling.core.model import DeviceId
from tests.integration.presence.test_attach import Gateway, Replica, attached, register, users
from tests.support.faulty import Fault, FaultyServer, faulty_server
from tests.support.identities import tokens_of
from tests.support.waiting import PATIENCE_S, eventually, until

DELIVER = "/parley.presence.v1.RouterService/Deliver"
USER = users(own=True)[0]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOREIGN = users(own=False)[0]


def outgoing(seq: int, user_id: str = USER) -> Outgoing:
    """A message, as messaging hands it over and publishes it."""
    place = events_pb2.Place(sequence="c1", number=seq)
    delivery = events_pb2.Delivery(user_id=user_id, frame=f"{seq}".encode(), delivery_id=f"m{seq}", place=place)
    return Outgoing(TOPIC, user_id.encode(), delivery.SerializeToString())


@dataclass
class Hop:
    """A producer, its way to the replica, and a gateway that holds the user's device."""

    replica: Replica
    way: FaultyServer
    direct: DirectDelivery
    gateway: Gateway
    heard: list[str] = field(default_factory=list)

    async def by_topic(self, *seqs: int) -> None:
        """The topic brings these."""
        records = [outgoing(seq) for seq in seqs]
        came = [Incoming(TOPIC, 0, 0, record.key, record.value, NOW, None) for record in records]
        await Deliveries(self.replica.ways).handle(came)

    async def hear(self, count: int) -> list[str]:
        """What the device was given, once it is so much."""
        while len(self.heard) < count:
            for deliver in (await self.gateway.hear()).delivers.delivers:
                self.heard.append(deliver.frame.decode())
        return self.heard

    async def until_open(self) -> None:
        await until(lambda: self.direct.routes(USER), what="the replica says that it routes the user")


@pytest.fixture
async def hop() -> AsyncIterator[Hop]:
    replica = Replica()
    await replica.start()
    async with faulty_server(None, ("127.0.0.1", replica.server.port)) as way:
        tokens = tokens_of("signaling")
        direct = DirectDelivery([way.address], lambda address: connect(address, tokens, fresh=True))
        await direct.start()
        gateway = await attached(replica)
        gateway.say(register([USER]))
        assert (await gateway.hear()).HasField("register_ack")
        hop = Hop(replica, way, direct, gateway)
        await hop.until_open()
        yield hop
        gateway.leave()
        await direct.stop()
    await replica.stop()


async def test_what_is_handed_over_reaches_the_device_and_the_topic_brings_it_for_nothing(hop: Hop) -> None:
    assert hop.direct.offer([outgoing(1), outgoing(2)])
    assert await hop.hear(2) == ["1", "2"]
    await hop.by_topic(1, 2, 3)
    assert await hop.hear(3) == ["1", "2", "3"]


async def test_a_user_of_another_replica_finds_no_way_here(hop: Hop) -> None:
    assert not hop.direct.offer([outgoing(1, FOREIGN)])
    assert not hop.direct.offer([outgoing(1), outgoing(1, FOREIGN)])
    assert not hop.direct.offer([])


async def test_a_way_that_is_cut_costs_nothing_and_is_taken_again_when_it_is_there(hop: Hop) -> None:
    assert hop.direct.offer([outgoing(1)])
    await hop.hear(1)
    hop.way.fault = Fault.RESET
    hop.way.break_all()
    await until(lambda: not hop.direct.routes(USER), what="the producer notices")
    assert not hop.direct.offer([outgoing(2)])
    await hop.by_topic(1, 2)
    assert await hop.hear(2) == ["1", "2"]
    hop.way.fault = None
    await hop.until_open()
    assert hop.direct.offer([outgoing(3)])
    assert await hop.hear(3) == ["1", "2", "3"]


async def test_what_is_lost_on_the_way_comes_by_the_topic_in_order(hop: Hop) -> None:
    assert hop.direct.offer([outgoing(1)])
    await hop.hear(1)
    hop.way.fault = Fault.HANG
    # It has left, and never arrives: this way swallows what it has read.
    assert hop.direct.offer([outgoing(2)])
    await hop.by_topic(1, 2)
    assert await hop.hear(2) == ["1", "2"]


async def test_a_replica_that_hangs_fills_its_queue_and_no_more(hop: Hop) -> None:
    hop.way.fault = Fault.HANG
    large = outgoing(1)
    large = Outgoing(large.topic, large.key, large.value, (("traceparent", b"x" * 10_000),))
    taken = sum([hop.direct.offer([large]) for _ in range(QUEUE_LIMIT + 10)])
    assert taken == QUEUE_LIMIT
    await hop.by_topic(1)
    assert await hop.hear(1) == ["1"]


async def test_a_replica_that_moves_takes_nothing_and_says_so(hop: Hop) -> None:
    moved = asyncio.create_task(hop.replica.ways.on_assigned([partition_of(FOREIGN, 16)], 16, "member-1"))
    epoch = (await hop.gateway.hear()).assignment.epoch
    hop.gateway.say(api.AttachRequest(registered=messages_pb2.Registered(epoch=epoch)))
    await moved
    await until(lambda: hop.direct.routes(FOREIGN), what="the new assignment")
    assert not hop.direct.offer([outgoing(1)])


async def test_the_replica_that_routes_a_user_tells_of_the_users_devices(hop: Hop) -> None:
    assert hop.direct.router_of(FOREIGN) is None
    devices = RoutedDevices(hop.direct)
    session = register([USER]).register.sessions[0]
    user, device = UserId(USER), DeviceId(session.device_id)

    async def closed_for() -> timedelta | None:
        return await devices.closed_for(user, device)

    assert await closed_for() is None
    hop.gateway.say(api.AttachRequest(detached=messages_pb2.Detached(session_ids=[session.session_id], detached=True)))
    await eventually(lambda: _is_there(closed_for))
    assert await devices.closed_for(user, DeviceId("another-1")) is None
    assert await devices.closed_for(UserId(FOREIGN), device) is None
    # What cannot be asked is not known.
    assert await devices.closed_for(user, DeviceId("")) is None
    hop.way.fault = Fault.RESET
    hop.way.break_all()
    await until(lambda: not hop.direct.routes(USER), what="signaling notices")
    assert await closed_for() is None


async def _is_there(find: Callable[[], Awaitable[object]]) -> bool:
    return await find() is not None


async def deliver(replica: Replica, caller: str, *frames: bytes) -> tuple[grpc.StatusCode, str]:
    """How the replica ends a stream that says this."""
    ended = asyncio.Event()

    async def say() -> AsyncIterator[bytes]:
        for frame in frames:
            yield frame
        # grpc goes on asking for frames after the stream has broken.
        await ended.wait()

    channel = connect(f"127.0.0.1:{replica.server.port}", tokens_of(caller), fresh=True)
    handing: Any = channel.stream_stream(DELIVER, None, api.DeliverResponse.FromString)
    call = handing(say())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await call.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return error.code(), reason_of(error)
    finally:
        ended.set()
        await channel.close()
    raise AssertionError("the stream ended well")


def request(*deliveries: events_pb2.Delivery) -> bytes:
    direct = [messages_pb2.DirectDelivery(delivery=delivery) for delivery in deliveries]
    return api.DeliverRequest(epoch=1, deliveries=direct).SerializeToString()


BAD: Sequence[bytes] = (
    b"\xff\xff",
    request(events_pb2.Delivery(user_id=USER, frame=b"x")),
    request(events_pb2.Delivery(frame=b"x", delivery_id="m1")),
    request(*(events_pb2.Delivery(user_id=UserId("u"), delivery_id="m") for _ in range(10_001))),
)


@pytest.mark.parametrize("frame", BAD, ids=["nonsense", "without an id", "without a user", "too many"])
async def test_a_frame_that_is_none_ends_the_stream_with_a_reason(frame: bytes) -> None:
    replica = Replica()
    await replica.start()
    assert await deliver(replica, "messaging", frame) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    await replica.stop()


async def test_only_producers_may_hand_over() -> None:
    replica = Replica()
    await replica.start()
    refused = (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    assert await deliver(replica, "gateway", request()) == refused
    await replica.stop()
