"""RouterService over a real connection: what a gateway is told, and what becomes of one that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.presence.v1 import admin_pb2, admin_pb2_grpc, messages_pb2
from parley.presence.v1 import service_pb2 as api

from deploy import identities
from services.presence import rpc
from services.presence.core.model import UserId
from services.presence.core.router import Router
from services.presence.delivery_ways import DeliveryWays
from services.presence.failed_replicas import FailedReplicas
from services.presence.publisher import KafkaFeed
from services.presence.service import Presence
from services.presence.state_writer import StateWriter
from services.runtime.clock import SystemClock
from services.runtime.config import ServerConfig
from services.runtime.env import EnvReader
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import connect
from services.runtime.grpc.guard import Admins
from services.runtime.grpc.server import RpcServer
from services.runtime.partitions import partition_of
from tests.support.admins import admin, verifier
from tests.support.bus import MemoryPublisher
from tests.support.identities import environment as identity_env
from tests.support.identities import tokens_of
from tests.support.presence_group import MemoryGroup
from tests.support.presence_store import MemoryStates
from tests.support.waiting import PATIENCE_S, until

ATTACH = f"/{rpc.ROUTER_SERVICE}/Attach"
SESSIONS = 100
TOKENS = tokens_of("presence")
HELLO = api.AttachRequest(hello=messages_pb2.Hello(gateway_id="gateway-1", reads_delivers=True))


class Replica:
    """A presence replica that owns partitions 0 to 7 of 16, without Kafka and PostgreSQL."""

    def __init__(self) -> None:
        clock = SystemClock()
        store = MemoryStates()
        self.group = MemoryGroup()
        self.failed_replicas = FailedReplicas(self.group)
        writer = StateWriter(store, KafkaFeed(MemoryPublisher()), 60)
        self.presence = Presence(Router(20, SESSIONS, partition_of), writer, store, self.failed_replicas, clock, 1.0)
        self.ways = DeliveryWays(self.presence)
        env = {
            "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
            "PARLEY_ADMIN_ADDRESS": "127.0.0.1:0",
            **identity_env("presence"),
            "PARLEY_DRAIN_GRACE_S": "0",
        }
        config = ServerConfig.read(EnvReader(env), public=False, admin=True)
        self.server = RpcServer(
            *(config, rpc.apis(self.presence, self.ways, clock, queue_size=1_000), rpc.ERRORS, TOKENS),
            admins=Admins(verifier()),
        )

    async def start(self) -> None:
        await self.ways.on_assigned(range(8), 16, "member-1")
        self._expelling = asyncio.create_task(self.failed_replicas.run())
        await self.server.start()
        # Fresh: a test before may have left gRPC waiting to try this very port again, after its server had gone.
        self.channel = connect(f"127.0.0.1:{self.server.port}", tokens_of("gateway"), fresh=True)
        self.operator = connect(f"127.0.0.1:{self.server.admin_port}", admin("operator"), fresh=True)

    async def stop(self) -> None:
        await self.channel.close()
        await self.operator.close()
        await self.server.stop()
        self._expelling.cancel()


@pytest.fixture
async def replica() -> AsyncIterator[Replica]:
    replica = Replica()
    await replica.start()
    yield replica
    await replica.stop()


class Gateway:
    """A stream that can say anything at all."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]] = ()) -> None:
        attach = channel.stream_stream(ATTACH, None, api.AttachResponse.FromString)
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.call: Any = attach(self._reporters(), metadata=metadata)

    def say(self, *frames: api.AttachRequest | bytes) -> None:
        for frame in frames:
            self._frames.put_nowait(frame if isinstance(frame, bytes) else frame.SerializeToString())

    def leave(self) -> None:
        self._frames.put_nowait(None)

    async def _reporters(self) -> AsyncIterator[bytes]:
        while (frame := await self._frames.get()) is not None:
            yield frame

    async def hear(self) -> api.AttachResponse:
        async with asyncio.timeout(PATIENCE_S):
            response: api.AttachResponse = await self.call.read()
        return response

    async def refusal(self) -> tuple[grpc.StatusCode, str]:
        """How the replica ends the stream."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self._read_to_the_end()
        # grpc goes on asking for frames after the stream has broken.
        self.leave()
        return raised.value.code(), reason_of(raised.value)

    async def _read_to_the_end(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await self.call.read() is not grpc.aio.EOF:
                pass


def users(*, own: bool, count: int = 1) -> list[UserId]:
    every = (UserId(f"user-{number}") for number in range(100_000))
    return [user_id for user_id in every if (partition_of(user_id, 16) < 8) == own][:count]


def register(user_ids: list[UserId], epoch: int = 1, first: int = 1) -> api.AttachRequest:
    sessions = [
        messages_pb2.Session(session_id=number, user_id=user_id, device_id="device-1")
        for number, user_id in enumerate(user_ids, first)
    ]
    return api.AttachRequest(register=messages_pb2.Register(sessions=sessions, epoch=epoch))


def gone(member_id: str) -> api.AttachRequest:
    return api.AttachRequest(gone=messages_pb2.Gone(member_id=member_id))


async def attached(replica: Replica) -> Gateway:
    gateway = Gateway(replica.channel)
    gateway.say(HELLO)
    assert (await gateway.hear()).HasField("assignment")
    return gateway


async def test_the_first_frame_tells_partitions_and_epoch(replica: Replica) -> None:
    gateway = Gateway(replica.channel)
    gateway.say(HELLO)
    assignment = (await gateway.hear()).assignment
    assert (assignment.epoch, list(assignment.partitions), assignment.partition_count) == (1, list(range(8)), 16)
    assert assignment.member_id == "member-1"


async def test_another_replica_that_most_gateways_call_dead_is_expelled(replica: Replica) -> None:
    gateways = [Gateway(replica.channel) for _ in range(3)]
    for number, gateway in enumerate(gateways):
        hello = messages_pb2.Hello(gateway_id=f"gateway-{number}", reads_delivers=True)
        gateway.say(api.AttachRequest(hello=hello))
        assert (await gateway.hear()).HasField("assignment")
    for gateway, member_ids in zip(gateways, (["member-2", "member-3"], ["member-3"], []), strict=True):
        for member_id in member_ids:
            gateway.say(gone(member_id))
    await until(lambda: replica.group.expelled)
    assert replica.group.expelled == ["member-3"]


@pytest.mark.parametrize("member_id", ["", "m" * 256])
async def test_a_death_of_nobody_ends_the_stream_with_a_reason(replica: Replica, member_id: str) -> None:
    gateway = await attached(replica)
    gateway.say(gone(member_id))
    assert await gateway.refusal() == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_a_batch_of_sessions_is_acknowledged_at_once_without_those_of_others_partitions(
    replica: Replica,
) -> None:
    gateway = await attached(replica)
    gateway.say(register([*users(own=True, count=50), *users(own=False, count=3)]))
    assert list((await gateway.hear()).register_ack.session_ids) == list(range(1, 51))
    view = replica.presence.describe()
    assert (view.users, view.gateways[0].sessions) == (50, 50)


async def test_events_that_wait_for_a_gateway_go_in_one_frame_in_order(replica: Replica) -> None:
    gateway = await attached(replica)
    (user_id,) = users(own=True)
    gateway.say(register([user_id]))
    await gateway.hear()
    for number in range(20):
        replica.presence.deliver(user_id, b"frame %d" % number)
    heard = [deliver.frame for deliver in (await gateway.hear()).delivers.delivers]
    assert heard == [b"frame %d" % number for number in range(20)]


async def test_a_gateway_that_reads_no_batches_gets_each_event_alone(replica: Replica) -> None:
    gateway = Gateway(replica.channel)
    gateway.say(api.AttachRequest(hello=messages_pb2.Hello(gateway_id="gateway-1")))
    (user_id,) = users(own=True)
    gateway.say(register([user_id]))
    await gateway.hear()
    await gateway.hear()
    for number in range(2):
        replica.presence.deliver(user_id, b"frame %d" % number)
    assert [(await gateway.hear()).deliver.frame for _ in range(2)] == [b"frame 0", b"frame 1"]


async def test_what_follows_another_epoch_is_passed_over_and_the_stream_goes_on(replica: Replica) -> None:
    gateway = await attached(replica)
    own = users(own=True, count=2)
    gateway.say(register(own, epoch=0), register(own, epoch=2), register(own, epoch=2**64 - 1))
    gateway.say(register(own[:1], epoch=1, first=7))
    assert list((await gateway.hear()).register_ack.session_ids) == [7]


async def test_another_gateways_sessions_cannot_be_ended(replica: Replica) -> None:
    honest = await attached(replica)
    (user_id,) = users(own=True)
    honest.say(register([user_id]))
    await honest.hear()
    other = Gateway(replica.channel)
    other.say(
        api.AttachRequest(hello=messages_pb2.Hello(gateway_id="gateway-2")),
        api.AttachRequest(unregister=messages_pb2.Unregister(session_ids=[1])),
        api.AttachRequest(detached=messages_pb2.Detached(session_ids=[1], detached=True)),
        register(users(own=True, count=2)[1:], first=1),
    )
    await other.hear()
    await other.hear()
    replica.presence.deliver(user_id, b"still there")
    assert (await honest.hear()).delivers.delivers[0].frame == b"still there"


async def test_a_gateway_that_leaves_takes_its_sessions_with_it(replica: Replica) -> None:
    gateway = await attached(replica)
    gateway.say(register(users(own=True, count=3)))
    await gateway.hear()
    gateway.leave()
    await until(lambda: not replica.presence.describe().gateways, what="its leave")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xff\xff\xff",
        b"\x12\x03ab",
        register([UserId("")]).SerializeToString(),
        register([UserId("x" * 65)]).SerializeToString(),
        register([UserId("u")] * (rpc.MAX_ENTRIES + 1)).SerializeToString(),
        api.AttachRequest(
            unregister=messages_pb2.Unregister(session_ids=range(rpc.MAX_ENTRIES + 1))
        ).SerializeToString(),
        api.AttachRequest(
            watch=messages_pb2.Watch(session_id=1, epoch=1, user_ids=["u"] * (rpc.MAX_ENTRIES + 1))
        ).SerializeToString(),
    ],
    ids=["no frame", "cut off", "nobody", "long id", "giant register", "giant unregister", "giant watch"],
)
async def test_garbage_ends_the_stream_with_a_reason_and_harms_nobody_else(replica: Replica, garbage: bytes) -> None:
    honest = await attached(replica)
    mad = Gateway(replica.channel)
    mad.say(api.AttachRequest(hello=messages_pb2.Hello(gateway_id="mad")), garbage)
    assert await mad.refusal() == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    honest.say(register(users(own=True)))
    assert (await honest.hear()).HasField("register_ack")


async def test_a_frame_of_a_newer_gateway_is_passed_over(replica: Replica) -> None:
    gateway = await attached(replica)
    # Field 100, empty: a frame that this replica does not know.
    gateway.say(b"\xa2\x06\x00", api.AttachRequest(route=messages_pb2.Route(user_id="u")))
    gateway.say(register(users(own=True)))
    assert (await gateway.hear()).HasField("register_ack")


@pytest.mark.parametrize("first", [b"", b"\xff", register([UserId("u")]).SerializeToString()])
async def test_a_stream_that_does_not_say_hello_is_ended(replica: Replica, first: bytes) -> None:
    gateway = Gateway(replica.channel)
    gateway.say(first)
    assert await gateway.refusal() == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_a_gateway_that_claims_too_many_sessions_is_cut_off_and_holds_none(replica: Replica) -> None:
    gateway = await attached(replica)
    gateway.say(register(users(own=True, count=SESSIONS + 1)))
    assert await gateway.refusal() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SESSIONS")
    await until(lambda: not replica.presence.describe().gateways, what="its end")


async def test_a_gateway_that_does_not_read_is_cut_off(replica: Replica) -> None:
    gateway = await attached(replica)
    (user_id,) = users(own=True)
    gateway.say(register([user_id]))
    await gateway.hear()
    for _ in range(2_000):
        replica.presence.deliver(user_id, b"x" * 1_000)
    assert await gateway.refusal() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")


@pytest.mark.parametrize("has_other_keys", [False, True])
async def test_nobody_attaches_or_looks_without_a_service_token(
    replica: Replica, has_other_keys: bool, tmp_path: Path
) -> None:
    metadata = []
    if has_other_keys:
        identities.write(tmp_path, identities.key_sets())
        token = tokens_of("gateway", folder=tmp_path).token("parley.presence.v1.RouterService")
        metadata = [("authorization", f"Bearer {token}")]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{replica.server.port}") as channel:
        stranger = Gateway(channel, metadata)
        assert (await stranger.refusal())[0] is grpc.StatusCode.UNAUTHENTICATED
    ports = {
        replica.server.port: grpc.StatusCode.UNIMPLEMENTED,
        replica.server.admin_port: grpc.StatusCode.UNAUTHENTICATED,
    }
    for port, refusal in ports.items():
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await admin_pb2_grpc.PresenceAdminServiceStub(channel).DescribeReplica(
                    admin_pb2.DescribeReplicaRequest(), metadata=metadata
                )
            assert raised.value.code() is refusal
    assert not replica.presence.describe().gateways


async def test_the_admin_view_tells_gateways_and_partitions(replica: Replica) -> None:
    gateway = await attached(replica)
    gateway.say(register(users(own=True, count=2)))
    await gateway.hear()
    view = await admin_pb2_grpc.PresenceAdminServiceStub(replica.operator).DescribeReplica(
        admin_pb2.DescribeReplicaRequest()
    )
    assert (view.epoch, list(view.partitions), view.users) == (1, list(range(8)), 2)
    assert [(held.gateway_id, held.sessions) for held in view.gateways] == [("gateway-1", 2)]
