"""MessagingService and MembershipService over gRPC."""

from datetime import UTC

import grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging import core
from services.messaging.core import UserId
from services.messaging.encoding import conversation_message, delta_message, message_message, to_timestamp
from services.messaging.service import Messaging
from services.runtime.auth import current_user
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.rpc import Access, Api, Context

ERRORS: ErrorTable = {
    core.InvalidField: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    core.ConversationNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"),
    core.NotAMember: Refusal(grpc.StatusCode.PERMISSION_DENIED, "NOT_A_MEMBER"),
    core.Overloaded: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_delay_s=0.5),
}


def apis(messaging: Messaging) -> list[Api]:
    """What the server serves."""
    public, internal = MessagingServicer(messaging), MembershipServicer(messaging)
    return [
        Api(
            "parley.messaging.v1.MessagingService",
            Access.USER,
            lambda server: service_pb2_grpc.add_MessagingServiceServicer_to_server(public, server),
        ),
        Api(
            "parley.messaging.v1.MembershipService",
            Access.SERVICE,
            lambda server: service_pb2_grpc.add_MembershipServiceServicer_to_server(internal, server),
        ),
    ]


def _me() -> UserId:
    return UserId(current_user())


class MessagingServicer(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging

    async def CreateDirectConversation(
        self, request: api.CreateDirectConversationRequest, context: Context
    ) -> api.CreateDirectConversationResponse:
        conversation = await self._messaging.open_direct(_me(), request.peer_user_id)
        return api.CreateDirectConversationResponse(conversation=conversation_message(conversation))

    async def GetConversation(
        self, request: api.GetConversationRequest, context: Context
    ) -> api.GetConversationResponse:
        conversation = await self._messaging.get_conversation(_me(), request.conversation_id)
        return api.GetConversationResponse(conversation=conversation_message(conversation))

    async def ListConversations(
        self, request: api.ListConversationsRequest, context: Context
    ) -> api.ListConversationsResponse:
        page = await self._messaging.list_conversations(_me(), request.page_size, request.page_token)
        summaries = [
            api.ConversationSummary(
                conversation=conversation_message(conversation),
                last_message=message_message(message) if message else None,
            )
            for conversation, message in page.items
        ]
        return api.ListConversationsResponse(conversations=summaries, next_page_token=page.next_token)

    async def SendMessage(self, request: api.SendMessageRequest, context: Context) -> api.SendMessageResponse:
        if request.WhichOneof("content") is None:
            raise InvalidRequest("content", "is not set")
        message = await self._messaging.send_text(
            _me(), request.conversation_id, request.client_message_id, request.text.text
        )
        return api.SendMessageResponse(message=message_message(message))

    async def ListMessages(self, request: api.ListMessagesRequest, context: Context) -> api.ListMessagesResponse:
        messages, has_more = await self._messaging.list_messages(
            _me(), request.conversation_id, request.before_seq, request.page_size
        )
        return api.ListMessagesResponse(messages=[message_message(message) for message in messages], has_more=has_more)

    async def Sync(self, request: api.SyncRequest, context: Context) -> api.SyncResponse:
        since = None
        if request.HasField("since_time"):
            try:
                since = request.since_time.ToDatetime(UTC)
            except (ValueError, OverflowError) as error:
                raise InvalidRequest("since_time", "is not a time") from error
        cursors = [(cursor.conversation_id, cursor.seq) for cursor in request.cursors]
        deltas, has_more, sync_time = await self._messaging.sync(_me(), cursors, request.limit, since)
        return api.SyncResponse(
            deltas=[delta_message(delta) for delta in deltas], has_more=has_more, sync_time=to_timestamp(sync_time)
        )

    async def MarkRead(self, request: api.MarkReadRequest, context: Context) -> api.MarkReadResponse:
        read_seq = await self._messaging.mark_read(_me(), request.conversation_id, request.seq)
        return api.MarkReadResponse(read_seq=read_seq)


class MembershipServicer(service_pb2_grpc.MembershipServiceServicer):
    """For the other services."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging

    async def GetMembers(self, request: api.GetMembersRequest, context: Context) -> api.GetMembersResponse:
        return api.GetMembersResponse(user_ids=await self._messaging.members_of(request.conversation_id))

    async def FilterContacts(self, request: api.FilterContactsRequest, context: Context) -> api.FilterContactsResponse:
        contacts = await self._messaging.filter_contacts(request.user_id, request.user_ids)
        return api.FilterContactsResponse(user_ids=contacts)
