"""ServerMessagingService over gRPC."""

from parley.messaging.v1 import server_pb2 as api
from parley.messaging.v1 import server_pb2_grpc, service_pb2

from services.messaging.back_office.mapping import held_message
from services.messaging.back_office.service import BackOffice
from services.messaging.groups.service import GroupRequest
from services.messaging.messages.service.requests import Said, request_of
from services.messaging.wire.api import conversation_message, message_message
from services.messaging.wire.requests import add_audience, instant, said
from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.server_keys import current_server


def api_of(back_office: BackOffice) -> Api:
    """What the server serves to the network's back office."""
    servicer = ServerMessagingServicer(back_office)
    return Api(
        "parley.messaging.v1.ServerMessagingService",
        Access.SERVER,
        lambda server: server_pb2_grpc.add_ServerMessagingServiceServicer_to_server(servicer, server),
    )


class ServerMessagingServicer(server_pb2_grpc.ServerMessagingServiceServicer):
    """Translates; the use-cases stand in service.py."""

    def __init__(self, back_office: BackOffice) -> None:
        self._back_office = back_office

    async def SendMessage(
        self, request: api.ServerMessagingServiceSendMessageRequest, context: Context
    ) -> api.ServerMessagingServiceSendMessageResponse:
        message = await self._back_office.send(
            current_server(), request.as_user_id, request.message.conversation_id, _send_request(request.message)
        )
        return api.ServerMessagingServiceSendMessageResponse(message=message_message(message))

    async def CreateConversation(
        self, request: api.CreateConversationRequest, context: Context
    ) -> api.CreateConversationResponse:
        match request.WhichOneof("conversation"):
            case "direct":
                peer = request.direct.peer_user_id
                made = await self._back_office.open_direct(current_server(), request.as_user_id, peer)
            case "group":
                group = _group_request(request.group)
                made = await self._back_office.create_group(current_server(), request.as_user_id, group)
            case _:
                raise InvalidRequest("conversation", "is not set")
        return api.CreateConversationResponse(conversation=conversation_message(made))

    async def AddMembers(
        self, request: api.ServerMessagingServiceAddMembersRequest, context: Context
    ) -> api.ServerMessagingServiceAddMembersResponse:
        group = await self._back_office.add_members(
            *(current_server(), request.as_user_id, request.conversation_id),
            *(request.user_ids, request.client_request_id),
        )
        return api.ServerMessagingServiceAddMembersResponse(conversation=conversation_message(group))

    async def RemoveMembers(self, request: api.RemoveMembersRequest, context: Context) -> api.RemoveMembersResponse:
        group = await self._back_office.remove_members(
            current_server(), request.as_user_id, request.conversation_id, request.user_ids, request.reason
        )
        return api.RemoveMembersResponse(conversation=conversation_message(group))

    async def GetConversation(
        self, request: api.ServerMessagingServiceGetConversationRequest, context: Context
    ) -> api.ServerMessagingServiceGetConversationResponse:
        found = await self._back_office.get_conversation(current_server(), request.as_user_id, request.conversation_id)
        return api.ServerMessagingServiceGetConversationResponse(
            conversation=conversation_message(found), frozen=found.frozen
        )

    async def ListMessages(
        self, request: api.ServerMessagingServiceListMessagesRequest, context: Context
    ) -> api.ServerMessagingServiceListMessagesResponse:
        messages, has_more = await self._back_office.list_messages(
            current_server(), request.as_user_id, request.conversation_id, request.before_seq, request.page_size
        )
        return api.ServerMessagingServiceListMessagesResponse(
            messages=[message_message(message) for message in messages], has_more=has_more
        )

    async def TakeDownMessage(
        self, request: api.TakeDownMessageRequest, context: Context
    ) -> api.TakeDownMessageResponse:
        message = await self._back_office.take_down_message(request.conversation_id, request.seq, request.reason)
        return api.TakeDownMessageResponse(message=message_message(message))

    async def ListHeldMessages(
        self, request: api.ListHeldMessagesRequest, context: Context
    ) -> api.ListHeldMessagesResponse:
        found, following = await self._back_office.list_held(request.page_size, request.page_token)
        return api.ListHeldMessagesResponse(
            held_messages=[held_message(held) for held in found], next_page_token=following
        )

    async def ReleaseHeldMessage(
        self, request: api.ReleaseHeldMessageRequest, context: Context
    ) -> api.ReleaseHeldMessageResponse:
        message = await self._back_office.release_held(request.held_id, request.reason)
        return api.ReleaseHeldMessageResponse(message=message_message(message))

    async def RefuseHeldMessage(
        self, request: api.RefuseHeldMessageRequest, context: Context
    ) -> api.RefuseHeldMessageResponse:
        await self._back_office.refuse_held(request.held_id, request.reason)
        return api.RefuseHeldMessageResponse()

    async def FreezeConversation(
        self, request: api.FreezeConversationRequest, context: Context
    ) -> api.FreezeConversationResponse:
        await self._back_office.freeze_conversation(request.conversation_id, request.reason, frozen=True)
        return api.FreezeConversationResponse()

    async def UnfreezeConversation(
        self, request: api.UnfreezeConversationRequest, context: Context
    ) -> api.UnfreezeConversationResponse:
        await self._back_office.freeze_conversation(request.conversation_id, request.reason, frozen=False)
        return api.UnfreezeConversationResponse()

    async def RestrictAccount(
        self, request: api.RestrictAccountRequest, context: Context
    ) -> api.RestrictAccountResponse:
        until = instant("until_time", request.until_time)
        await self._back_office.restrict_account(request.user_id, until, request.reason)
        return api.RestrictAccountResponse()

    async def LiftRestriction(
        self, request: api.LiftRestrictionRequest, context: Context
    ) -> api.LiftRestrictionResponse:
        await self._back_office.lift_restriction(request.user_id, request.reason)
        return api.LiftRestrictionResponse()


def _send_request(request: service_pb2.SendMessageRequest) -> Said:
    if request.view_once:
        raise InvalidRequest("view_once", "cannot be set here")
    return request_of(said(request), request.client_message_id, request.reply_to_seq, tuple(request.attachment_ids))


def _group_request(request: service_pb2.CreateGroupRequest) -> GroupRequest:
    return GroupRequest(
        *(request.client_conversation_id, request.title, request.user_ids),
        *(request.avatar_ref, request.history_open, add_audience(request.add_audience)),
    )
