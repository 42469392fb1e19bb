"""The methods of MessagingService about conversations."""

from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.conversations.service import Conversations
from services.messaging.kernel.own_state import OwnChange
from services.messaging.wire.api import conversation_message, own_state_message
from services.messaging.wire.requests import instant, me
from services.runtime.grpc.guard import Context


class ConversationsRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _conversations: Conversations

    async def CreateDirectConversation(
        self, request: api.CreateDirectConversationRequest, context: Context
    ) -> api.CreateDirectConversationResponse:
        conversation = await self._conversations.open_direct(me(), request.peer_user_id)
        return api.CreateDirectConversationResponse(conversation=conversation_message(conversation))

    async def GetConversation(
        self, request: api.GetConversationRequest, context: Context
    ) -> api.GetConversationResponse:
        conversation = await self._conversations.get_conversation(me(), request.conversation_id)
        return api.GetConversationResponse(conversation=conversation_message(conversation))

    async def UpdateOwnState(self, request: api.UpdateOwnStateRequest, context: Context) -> api.UpdateOwnStateResponse:
        change = OwnChange(
            pinned=request.pinned if request.HasField("pinned") else None,
            archived=request.archived if request.HasField("archived") else None,
            marked_unread=request.marked_unread if request.HasField("marked_unread") else None,
            mute_until=instant("mute_end_time", request.mute_end_time) if request.HasField("mute_end_time") else None,
        )
        state = await self._conversations.update_own_state(me(), request.conversation_id, change)
        return api.UpdateOwnStateResponse(own_state=own_state_message(state))
