"""Many users' devices on few connections, cheap enough not to be what is measured."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Self

import grpc
from parley.gateway.v1 import messages_pb2 as gateway_messages
from parley.gateway.v1 import service_pb2 as gateway
from parley.messaging.v1 import messages_pb2, service_pb2

from loadtests.message_path.delivery_check import Ledger, Receiver
from parley_client.account_sync import AccountSync
from parley_client.client import Edge, http_login
from parley_client.inbox import Inbox, to_entry
from parley_client.waiting import Changes

# Streams a connection; the edge allows 100.
_STREAMS = 60
# Connections for the unary calls.
_UNARY_CHANNELS = 2
_STARTED_AT_ONCE = 24
_RPC_TIMEOUT_S = 30.0
_ATTEMPTS = 5
_READY_WITHIN_S = 30.0
_RECONNECT_S = 0.2

_SERVICE = "/parley.messaging.v1.MessagingService"
_SUBSCRIBE = "/parley.gateway.v1.GatewayService/Subscribe"


class Member:
    """A user with one device: its stream is followed as long as the fleet lives."""

    def __init__(self, user_id: str, token: str, streams: grpc.aio.Channel, unary: grpc.aio.Channel) -> None:
        self._inbox = Inbox(user_id)
        self._account = AccountSync(self._inbox, limit=200)
        self.receiver = Receiver(user_id, self._inbox.conversations)
        self.user_id = user_id
        self.metadata = (("authorization", f"Bearer {token}"),)
        self.ready = asyncio.Event()
        self.reconnects = -1
        self.resyncs = 0
        self.streams = streams
        self._unary = unary

    async def call(self, method: str, request: Any, response_type: Any) -> Any:
        """A unary call of MessagingService, tried again with the same content when it was not answered."""
        rpc = self._unary.unary_unary(
            f"{_SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response_type.FromString,
        )
        for attempt in range(_ATTEMPTS):
            try:
                return await rpc(request, metadata=self.metadata, timeout=_RPC_TIMEOUT_S)
            except grpc.aio.AioRpcError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def sync(self) -> None:
        """Calls Sync until nothing is missing."""
        has_more = True
        while has_more:
            has_more = self._account.take(await self.call("Sync", self._account.request(), service_pb2.SyncResponse))


class Fleet:
    """The devices of a round. Use as `async with`; `changes` wakes whoever waits for deliveries.

    `on_event` is told each event of each device, with the time.
    """

    def __init__(
        self,
        edge: Edge,
        ledger: Ledger,
        on_event: Callable[[Member, gateway_messages.DeviceEvent, float], None] = lambda _member, _event, _now_s: None,
    ) -> None:
        self._on_event = on_event
        self.ledger = ledger
        self.changes = Changes()
        self.members: list[Member] = []
        self._edge = edge
        self._login = http_login(edge.issuer_url)
        self._mark = secrets.token_hex(4)
        self._channels: list[grpc.aio.Channel] = []
        self._unary = [self._channel() for _ in range(_UNARY_CHANNELS)]
        self._tasks: list[asyncio.Task[None]] = []
        self._slots = asyncio.Semaphore(_STARTED_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def add(self, count: int) -> list[Member]:
        """New users, each with a device whose stream is ready."""
        channels = [self._channel() for _ in range(-(-count // _STREAMS))]
        added = await asyncio.gather(*(self._add_one(channels[index // _STREAMS]) for index in range(count)))
        self.members += added
        return list(added)

    async def sync(self, members: Iterable[Member]) -> None:
        """Every device calls Sync."""
        await asyncio.gather(*(self._in_turn(member.sync()) for member in members))

    async def open_direct(self, one: Member, other: Member) -> str:
        """The conversation of a pair."""
        request = service_pb2.CreateDirectConversationRequest(peer_user_id=other.user_id)
        answer = await one.call("CreateDirectConversation", request, service_pb2.CreateDirectConversationResponse)
        return str(answer.conversation.conversation_id)

    async def create_group(self, owner: Member, others: Sequence[Member]) -> str:
        """A group of all of them."""
        request = service_pb2.CreateGroupRequest(
            client_conversation_id=secrets.token_hex(16), title="load", user_ids=[one.user_id for one in others]
        )
        answer = await owner.call("CreateGroup", request, service_pb2.CreateGroupResponse)
        return str(answer.conversation.conversation_id)

    async def send(
        self, sender: Member, conversation_id: str, awaited: Iterable[str], body: str, intended_s: float
    ) -> None:
        """Sends a message and notes what was acknowledged. Raises AioRpcError when it was refused for good."""
        client_message_id = secrets.token_hex(16)
        request = service_pb2.SendMessageRequest(
            conversation_id=conversation_id,
            client_message_id=client_message_id,
            text=messages_pb2.TextContent(text=body),
        )
        self.ledger.begin(client_message_id, intended_s, awaited)
        answer = await sender.call("SendMessage", request, service_pb2.SendMessageResponse)
        self.ledger.acknowledged[conversation_id].append((client_message_id, answer.message.seq))

    def _channel(self) -> grpc.aio.Channel:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(self._edge.address, options=options)
        self._channels.append(channel)
        return channel

    async def _add_one(self, streams: grpc.aio.Channel) -> Member:
        async with self._slots:
            number = len(self._tasks)
            user_id = f"load-{self._mark}-{secrets.token_hex(4)}"
            token = await self._login(user_id)
            member = Member(user_id, token.value, streams, self._unary[number % _UNARY_CHANNELS])
            self._tasks.append(asyncio.create_task(self._follow(member)))
            async with asyncio.timeout(_READY_WITHIN_S):
                await member.ready.wait()
        return member

    async def _in_turn(self, work: Any) -> None:
        async with self._slots:
            await work

    async def _follow(self, member: Member) -> None:
        request = gateway.SubscribeRequest(device_id="load-device-1").SerializeToString()
        subscribe: Any = member.streams.unary_stream(_SUBSCRIBE)
        while True:
            member.reconnects += 1
            with suppress(grpc.aio.AioRpcError):
                async for frame in subscribe(request, metadata=member.metadata):
                    self._take(member, gateway.SubscribeResponse.FromString(frame).event, time.monotonic())
            await asyncio.sleep(_RECONNECT_S)

    def _take(self, member: Member, event: gateway_messages.DeviceEvent, now_s: float) -> None:
        self._on_event(member, event, now_s)
        match event.WhichOneof("event"):
            case "message":
                if member.receiver.take_live(to_entry(event.message)):
                    self.ledger.reach(member.user_id, event.message.client_message_id, now_s)
                    if not self.ledger.undelivered:
                        self.changes.notify()
            case "ready":
                member.ready.set()
            case "resync":
                member.resyncs += 1
