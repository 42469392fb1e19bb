"""Messaging, calls and a gateway in one process: two real databases, messaging asked over gRPC, no broker.

What messaging would publish comes to the others when a test says so (`hear`), so that the time before is a test's too.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import grpc
from google.protobuf.message import Message
from parley.calls.v1 import service_pb2 as calls_api
from parley.gateway.v1 import service_pb2 as gateway_api
from parley.keys.v1 import service_pb2 as keys_api
from parley.messaging.v1 import relations_pb2, service_pb2_grpc
from parley.presence.v1 import events_pb2 as presence_events
from parley.presence.v1 import service_pb2 as presence_api

from services.gateway import rpc as gateway_rpc
from services.gateway.core.model import PresenceFrame, Watch
from services.gateway.membership import GrpcMembership
from services.messaging.conversations.consumer import FanOut
from services.messaging.groups.service import GroupRequest
from services.runtime.config import DatabaseConfig
from services.runtime.errors import BASE_TABLE, ErrorTable
from services.runtime.grpc.channels import connect
from services.runtime.grpc.guard import Access
from services.runtime.grpc.server import Api, RpcServer
from services.runtime.identity.auth import UserId as CallerId
from services.runtime.identity.auth import UserToken, set_current_token
from services.runtime.ids import new_id
from services.runtime.kafka.bus import Incoming
from services.runtime.postgres.database import Database
from services.signaling import rpc as calls_rpc
from services.signaling.alarms import Alarms
from services.signaling.changes import CallChanges
from services.signaling.clients import GrpcMembers
from services.signaling.consumer import MembersConsumer
from services.signaling.core.model import Call, ConversationId, DeviceId, UserId
from services.signaling.core.placement import WorkerTable
from services.signaling.join_tokens import JwtJoinTokens
from services.signaling.keys.core import Device
from services.signaling.keys.rpc import DeviceKeysServicer
from services.signaling.keys.service import DeviceKeys
from services.signaling.keys.sql import PostgresKeys
from services.signaling.links.sql import PostgresLinks
from services.signaling.moves import CallMoves
from services.signaling.publisher import KeyEvents
from services.signaling.scheduled.service import ScheduledCalls
from services.signaling.scheduled.sql import PostgresScheduled
from services.signaling.sql.store import PostgresStore
from services.signaling.starting import StartRequest
from services.signaling.wiring import MIGRATIONS
from tests.integration.messaging.test_any_request import TABLE as MESSAGING_TABLE
from tests.integration.messaging.test_any_request import Town
from tests.integration.signaling.neighbours import server_config
from tests.support.bus import MemoryPublisher
from tests.support.client_rpcs import INTERNAL
from tests.support.clock import ManualClock
from tests.support.identities import keys_of, tokens_of
from tests.support.waiting import until
from tests.unit.gateway.world import FakeDevice, GatewayWorld
from tests.unit.signaling.fakes import (
    OTHER_WORKER,
    START,
    TIMEOUTS,
    WORKER,
    FakeMedia,
    RecordingCloser,
    announcement,
    events_of,
    make_links,
    make_lobby,
    make_service,
    scheduled_events_of,
)

TABLE: ErrorTable = {**BASE_TABLE, **calls_rpc.ERRORS, **gateway_rpc.ERRORS}
SERVICES = {
    service.full_name: service
    for file in (calls_api, keys_api, presence_api, gateway_api)
    for service in file.DESCRIPTOR.services_by_name.values()
    if service.full_name not in INTERNAL
}


class FakeContext:
    """The context of an RPC, as far as servicers use it. `written`: the frames of a stream."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.wrote = asyncio.Event()

    def invocation_metadata(self) -> tuple[()]:
        return ()

    async def write(self, frame: bytes) -> None:
        self.written.append(frame)
        self.wrote.set()


class ThreeServices:
    """`messaging` is the town whose conversations all is about."""

    def __init__(self, messaging_url: str, calls_url: str) -> None:
        self.messaging = Town(messaging_url)
        self._calls_database = Database(DatabaseConfig(calls_url, pool_size=3), MIGRATIONS)
        self._stack = AsyncExitStack()
        self._heard = 0
        self._keys = count(1)

    async def open(self) -> None:
        await self.messaging.open()
        await self._calls_database.start()
        await self._calls_database.wait_connected()
        membership: Any = self.messaging.servicers["MembershipService"]
        served = Api(
            "parley.messaging.v1.MembershipService",
            Access.SERVICE,
            lambda server: service_pb2_grpc.add_MembershipServiceServicer_to_server(membership, server),
        )
        self.server = RpcServer(server_config(), [served], MESSAGING_TABLE, tokens_of("messaging"))
        await self.server.start()
        address = f"127.0.0.1:{self.server.port}"
        self.members = GrpcMembers(address, tokens_of("signaling"))
        await self.members.start()
        self._stack.push_async_callback(self.members.stop)
        self._open_calls()
        channel = connect(address, tokens_of("gateway"))
        self._stack.push_async_callback(channel.close)
        self._open_gateway(channel)

    def _open_calls(self) -> None:
        store, clock, workers = PostgresStore(self._calls_database, lambda *_: None), ManualClock(START), WorkerTable()
        changes = CallChanges(*(store, events_of, RecordingCloser(), Alarms(), clock, TIMEOUTS))
        self.media = FakeMedia()
        self.moves = CallMoves(store, changes, self.media, workers)
        for worker, busy in ((WORKER, 0.0), (OTHER_WORKER, 0.5)):
            workers.announce(announcement(worker, clock.now(), cpu_ratio=busy))
        tokens = JwtJoinTokens(keys_of("signaling"))
        self.calls = make_service(changes, self.members, self.moves, lambda _: self.new_id(), tokens)
        scheduled = PostgresScheduled(self._calls_database, lambda *_: None)
        self.links = make_links(changes, self.calls, PostgresLinks(self._calls_database), scheduled)
        self.lobby = make_lobby(self.links)
        self.scheduled = ScheduledCalls(*(scheduled, self.members, scheduled_events_of, clock, lambda _: self.new_id()))
        events = KeyEvents(new_id)
        keys = PostgresKeys(self._calls_database, lambda *_: None)
        self.keys = DeviceKeys(keys, store, self.members, clock, events.call_key, events.keys_changed)
        self.key_servicer = DeviceKeysServicer(self.keys, clock)
        self.members_consumer = MembersConsumer(self.calls.roster)

    def _open_gateway(self, channel: grpc.aio.Channel) -> None:
        membership = GrpcMembership(channel, ManualClock(START))
        self.world = GatewayWorld(typing_burst=1_000_000, membership=membership)
        self._watching = asyncio.create_task(self.world.gateway.watch_lists.run())
        self.servicers: dict[str, Any] = {
            "parley.calls.v1.CallsService": calls_rpc.CallsServicer(self.calls, self.links, self.lobby, self.scheduled),
            "parley.keys.v1.DeviceKeysService": self.key_servicer,
            "parley.presence.v1.PresenceService": gateway_rpc.PresenceServicer(self.world.gateway),
            "parley.gateway.v1.GatewayService": gateway_rpc.GatewayServicer(self.world.gateway),
        }

    async def close(self) -> None:
        await self.world.close()
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._stack.aclose()
        await self.server.stop()
        await self._calls_database.stop()
        await self.messaging.close()

    def new_id(self) -> str:
        """One that is in use nowhere, unless it is used."""
        return str(new_id(START))

    # Conversations and calls.

    async def pair(self, user_id: str, other: str) -> str:
        """A direct conversation that both let in."""
        talk = str((await self.messaging.conversations.open_direct(_person(user_id), other)).id)
        accept = relations_pb2.AcceptRequestRequest(conversation_id=talk)
        await self.messaging.ask("RelationsService", "AcceptRequest", other, accept)
        return talk

    async def group(self, owner: str, *others: str) -> str:
        """A group that all let in."""
        request = relations_pb2.AcceptRequestRequest
        wanted = GroupRequest(f"g{next(self._keys)}", "Trip", others, "", history_open=False)
        conversation = str((await self.messaging.groups.create_group(_person(owner), wanted)).id)
        for user_id in others:
            await self.messaging.ask(
                "RelationsService", "AcceptRequest", user_id, request(conversation_id=conversation)
            )
        return conversation

    async def block(self, user_id: str, other: str) -> None:
        request = relations_pb2.BlockUserRequest(user_id=other)
        await self.messaging.ask("RelationsService", "BlockUser", user_id, request)

    async def ring(self, caller: str, talk: str, key: str = "") -> Call:
        """The caller's first device calls."""
        request = StartRequest(
            *(UserId(caller), device_of(caller), ConversationId(talk)),
            video=True,
            client_call_id=key or f"k{next(self._keys)}",
        )
        call, _ = await self.calls.start_call(request)
        return call

    async def enter(self, call: Call, *user_ids: str) -> None:
        """They answer or join."""
        for user_id in user_ids:
            await self.calls.accept_call(call.call_id, UserId(user_id), device_of(user_id))

    async def publish_keys(self, user_id: str) -> None:
        """The user's first device publishes its keys, all of them one point, which the user may publish again."""
        point = b"\x04" + bytes(64)
        device = Device(device_of(user_id), point, point, START, bytes(64), b"sealed")
        await self.keys.publish(UserId(user_id), 1, point, device)

    async def connect(self, user_id: str) -> FakeDevice:
        """The stream of the user's first device."""
        return await self.world.connect(user_id, device_of(user_id))

    async def hear(self) -> None:
        """Have the others learn what messaging has published since the last time."""
        async with self.messaging.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT id, topic, key, value FROM outbox WHERE id > $1 ORDER BY id", self._heard
            )
        self._heard = max((row["id"] for row in rows), default=self._heard)
        records = [Incoming(row["topic"], 0, row["id"], row["key"].encode(), row["value"], START, None) for row in rows]
        events = [record for record in records if record.topic == "messaging.events.v1"]
        told = MemoryPublisher()
        if events:
            await FanOut(self.messaging.store, told).handle(events)
            await self.members_consumer.handle(events)
        published = [(record.topic, record.value) for record in records]
        published += [(record.topic, record.value) for record in told.records]
        values = [value for topic, value in published if topic == "delivery.v1"]
        for value in values:
            delivery = presence_events.Delivery.FromString(value or b"")
            if delivery.relations_changed:
                await self._relations_changed(delivery.user_id)

    async def _relations_changed(self, user_id: str) -> None:
        """As the presence replica that owns the user has it done; returns when the gateway has asked anew."""
        frames, since = self.world.presence.frames, len(self.world.presence.frames)
        here = set(self.world.session_ids(user_id))
        self.world.gateway.relations_changed(here, "")

        def is_asked() -> bool:
            return here <= {frame.session_id for frame in frames[since:] if isinstance(frame, Watch)}

        await until(is_asked, what=f"the watch lists of {user_id}")

    # Asking.

    async def ask(self, service: str, method: str, token: UserToken, request: Message) -> Any:
        """What an RPC answers to a token; of a stream, its first frame. Raises what refuses it."""
        set_current_token(token)
        call = getattr(self.servicers[service], method)
        if not SERVICES[service].methods_by_name[method].server_streaming:
            answer: Any = await call(request, None)
            if "grant" in answer.DESCRIPTOR.fields_by_name and answer.HasField("grant"):
                # New in each answer.
                answer.grant.join_token = ""
            return answer
        # So that nobody opens too many at once.
        self.world.clock.advance(1)
        context = FakeContext()
        stream = asyncio.create_task(call(request, context))
        wrote = asyncio.create_task(context.wrote.wait())
        await asyncio.wait([stream, wrote], return_when=asyncio.FIRST_COMPLETED)
        wrote.cancel()
        if not context.written:
            await stream
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)
        # Tokens are new on each stream.
        if method == "StreamEvents":
            told = gateway_api.StreamEventsResponse.FromString(context.written[0])
            told.data = re.sub(rb'(id: |"resumeToken": ?")[\w-]+', rb"\1", told.data)
            return told
        first = gateway_api.SubscribeResponse.FromString(context.written[0])
        first.event.ready.ClearField("resume_token")
        return first

    async def settled(self, user_id: str, request: Message, since: int) -> Sequence[PresenceFrame]:
        """What presence replicas were told since then because of a user's request."""
        frames = self.world.presence.frames
        device_id = getattr(request, "device_id", "")
        is_here = any(one.device_id == device_id for one in self.world.registry.sessions_of(UserId(user_id)))  # type: ignore[arg-type]
        if isinstance(request, presence_api.WatchPresenceRequest) and is_here and len(frames) > since:
            await until(lambda: any(isinstance(frame, Watch) for frame in frames[since:]), what="the watch list")
        return frames[since:]


def device_of(user_id: str) -> DeviceId:
    """A user's first device."""
    return DeviceId(f"{user_id}-phone")


def token_of(user_id: str, device_id: str = "") -> UserToken:
    """A token of a user, bound to a device if one is named."""
    return UserToken(CallerId(user_id), 2e9, device_id=device_id)


def _person(user_id: str) -> Any:
    return user_id
