"""A gRPC server in this process that plays the edge for one user: event streams by hand, Sync from a list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from parley.calls.v1 import messages_pb2 as calls_messages
from parley.calls.v1 import service_pb2 as calls
from parley.calls.v1 import service_pb2_grpc as calls_grpc
from parley.gateway.v1 import messages_pb2 as events
from parley.gateway.v1 import service_pb2 as gateway
from parley.gateway.v1 import service_pb2_grpc as gateway_grpc
from parley.messaging.v1 import messages_pb2 as messaging_messages
from parley.messaging.v1 import service_pb2 as messaging
from parley.messaging.v1 import service_pb2_grpc as messaging_grpc
from parley.presence.v1 import service_pb2 as presence
from parley.presence.v1 import service_pb2_grpc as presence_grpc

from tests.support.waiting import PATIENCE_S

CONVERSATION = "c1"


def message(seq: int) -> messaging_messages.Message:
    """The message with this seq."""
    built = messaging_messages.Message(
        message_id=f"m{seq}", conversation_id=CONVERSATION, seq=seq, sender_id="bob", client_message_id=f"k{seq}"
    )
    built.text.text = f"text {seq}"
    return built


class FakeEdge(
    gateway_grpc.GatewayServiceServicer,
    messaging_grpc.MessagingServiceServicer,
    presence_grpc.PresenceServiceServicer,
    calls_grpc.CallsServiceServicer,
):
    """`streams` holds a queue for each Subscribe that came; put events in, or None to end it."""

    def __init__(self) -> None:
        self.streams: list[asyncio.Queue[gateway.SubscribeResponse | None]] = []
        self.came = asyncio.Condition()
        self.refusals: list[tuple[grpc.StatusCode, str]] = []
        self.stored: list[messaging_messages.Message] = []
        self.active_calls: list[calls_messages.Call] = []
        self.syncs = 0
        self.failing_syncs = 0
        self.tokens: list[str] = []
        # (resume token, position) of each Subscribe.
        self.resumes: list[tuple[str, int]] = []
        self.watched: list[list[str]] = []
        # What Sync and the list say of alice's own state, and how many messages Sync gives at first.
        self.unread_count = 0
        self.read_seq = 0
        self.newest = 0
        self.is_listed_only = False
        self.marked: list[int] = []
        self.pages: list[tuple[int, int]] = []
        self.searched: list[messaging.SearchMessagesRequest] = []
        self.sent: list[messaging.SendMessageRequest] = []
        self.failures: list[tuple[grpc.StatusCode, str] | tuple[grpc.StatusCode, str, int]] = []
        # What every stream begins with.
        self.first: dict[str, Any] = {}
        self.address = ""

    async def start(self) -> grpc.aio.Server:
        """Listens on a free port of the loopback."""
        server = grpc.aio.server()
        gateway_grpc.add_GatewayServiceServicer_to_server(self, server)
        messaging_grpc.add_MessagingServiceServicer_to_server(self, server)
        presence_grpc.add_PresenceServiceServicer_to_server(self, server)
        calls_grpc.add_CallsServiceServicer_to_server(self, server)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        return server

    async def stream(self, number: int) -> asyncio.Queue[gateway.SubscribeResponse | None]:
        """The n-th stream, once it is there (from 0)."""
        async with asyncio.timeout(PATIENCE_S), self.came:
            await self.came.wait_for(lambda: len(self.streams) > number)
        return self.streams[number]

    async def say(self, number: int, position: int = 0, **event: Any) -> None:
        """One event on the n-th stream."""
        response = gateway.SubscribeResponse(event=events.DeviceEvent(**event), position=position)
        (await self.stream(number)).put_nowait(response)

    async def Subscribe(self, request: Any, context: Any) -> AsyncIterator[gateway.SubscribeResponse]:
        self.tokens.append(dict(context.invocation_metadata())["authorization"])
        self.resumes.append((request.resume_token, request.position))
        if self.refusals:
            await refuse(context, *self.refusals.pop(0))
        queue: asyncio.Queue[gateway.SubscribeResponse | None] = asyncio.Queue()
        if self.first:
            queue.put_nowait(gateway.SubscribeResponse(event=events.DeviceEvent(**self.first)))
        async with self.came:
            self.streams.append(queue)
            self.came.notify_all()
        while (response := await queue.get()) is not None:
            yield response

    async def Sync(self, request: messaging.SyncRequest, context: Any) -> messaging.SyncResponse:
        self.syncs += 1
        if self.failing_syncs:
            self.failing_syncs -= 1
            await refuse(context, grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        if self.is_listed_only and not request.cursors:
            return messaging.SyncResponse(sync_token="later")
        cursor = next((each.seq for each in request.cursors if each.conversation_id == CONVERSATION), 0)
        missing = [each for each in self.stored if each.seq > cursor]
        delta = messaging_messages.ConversationDelta(messages=missing[:2], has_more=len(missing) > 2)
        if self.newest and not cursor:
            delta = messaging_messages.ConversationDelta(messages=missing[-self.newest :])
        delta.conversation.conversation_id = CONVERSATION
        delta.conversation.last_seq = len(self.stored)
        delta.own_state.CopyFrom(self.own_state())
        return messaging.SyncResponse(deltas=[delta] if missing else [], sync_token="later")

    def own_state(self) -> messaging_messages.OwnState:
        return messaging_messages.OwnState(unread_count=self.unread_count, read_seq=self.read_seq)

    async def ListConversations(
        self, request: messaging.ListConversationsRequest, context: Any
    ) -> messaging.ListConversationsResponse:
        answer = messaging.ListConversationsResponse(sync_token="first")
        is_later = bool(request.page_token)
        if self.is_listed_only and not is_later:
            answer.next_page_token = "later"
        elif self.is_listed_only:
            summary = answer.conversations.add(own_state=self.own_state())
            summary.conversation.conversation_id = CONVERSATION
        return answer

    async def CreateDirectConversation(
        self, request: messaging.CreateDirectConversationRequest, context: Any
    ) -> messaging.CreateDirectConversationResponse:
        answer = messaging.CreateDirectConversationResponse()
        answer.conversation.conversation_id = CONVERSATION
        answer.conversation.members.add(user_id="alice")
        answer.conversation.members.add(user_id=request.peer_user_id)
        return answer

    async def SendMessage(self, request: messaging.SendMessageRequest, context: Any) -> messaging.SendMessageResponse:
        self.sent.append(request)
        if self.failures:
            await refuse(context, *self.failures.pop(0))
        stored = message(len(self.stored) + 1)
        stored.sender_id, stored.client_message_id = "alice", request.client_message_id
        stored.text.CopyFrom(request.text)
        self.stored.append(stored)
        return messaging.SendMessageResponse(message=stored)

    async def MarkRead(self, request: messaging.MarkReadRequest, context: Any) -> messaging.MarkReadResponse:
        if self.failures:
            await refuse(context, *self.failures.pop(0))
        self.marked.append(request.seq)
        return messaging.MarkReadResponse(read_seq=request.seq)

    async def ListMessages(
        self, request: messaging.ListMessagesRequest, context: Any
    ) -> messaging.ListMessagesResponse:
        """At most ten, as a service whose answers are full."""
        self.pages.append((request.before_seq, request.page_size))
        below = [each for each in self.stored if each.seq < request.before_seq]
        size = min(request.page_size, 10)
        return messaging.ListMessagesResponse(messages=reversed(below[-size:]), has_more=len(below) > size)

    async def SearchMessages(
        self, request: messaging.SearchMessagesRequest, context: Any
    ) -> messaging.SearchMessagesResponse:
        """A page for each message that is there, of whatever it is asked."""
        self.searched.append(request)
        at = int(request.page_token or 0)
        more = at + 1 < len(self.stored)
        return messaging.SearchMessagesResponse(
            messages=self.stored[at : at + 1], next_page_token=f"{at + 1}" if more else ""
        )

    async def WatchPresence(self, request: presence.WatchPresenceRequest, context: Any) -> Any:
        self.watched.append(list(request.user_ids))
        return presence.WatchPresenceResponse()

    async def ListActiveCalls(self, request: Any, context: Any) -> calls.ListActiveCallsResponse:
        return calls.ListActiveCallsResponse(calls=self.active_calls)


async def refuse(context: Any, code: grpc.StatusCode, reason: str, retry_delay_s: int = 0) -> None:
    """As our services refuse: with an ErrorInfo, and a RetryInfo where they ask to wait."""
    status = status_pb2.Status(code=code.value[0], message=reason)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="parley"))
    if retry_delay_s:
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=retry_delay_s)))
    await context.abort(code, reason, (("grpc-status-details-bin", status.SerializeToString()),))
