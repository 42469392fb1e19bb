"""The methods of MessagingService about messages."""

import grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.kernel import errors
from services.messaging.messages.service.changing import Changing
from services.messaging.messages.service.history import History
from services.messaging.messages.service.requests import request_of
from services.messaging.messages.service.sending import Sending
from services.messaging.wire.api import edit_message, message_message
from services.messaging.wire.contents import read_text
from services.messaging.wire.requests import me, said
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Context

_CODE = grpc.StatusCode

ERRORS: ErrorTable = {
    errors.MessageNotFound: Refusal(_CODE.NOT_FOUND, "MESSAGE_NOT_FOUND"),
    errors.NotTheSender: Refusal(_CODE.PERMISSION_DENIED, "NOT_THE_SENDER"),
    errors.NotEditable: Refusal(_CODE.FAILED_PRECONDITION, "NOT_EDITABLE"),
    errors.EditTooLate: Refusal(_CODE.FAILED_PRECONDITION, "EDIT_TOO_LATE"),
    errors.TooManyEdits: Refusal(_CODE.FAILED_PRECONDITION, "TOO_MANY_EDITS"),
    errors.StickerHostNotAllowed: Refusal(_CODE.FAILED_PRECONDITION, "STICKER_HOST_NOT_ALLOWED"),
    errors.TooManyReactions: Refusal(_CODE.RESOURCE_EXHAUSTED, "TOO_MANY_REACTIONS"),
    errors.SendRate: Refusal(_CODE.RESOURCE_EXHAUSTED, "SEND_RATE"),
    errors.Overloaded: Refusal(_CODE.RESOURCE_EXHAUSTED, "OVERLOADED", retry_delay_s=0.5),
}


class MessagesRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service/. The servicer of messaging's rpc.py is made of these."""

    _sending: Sending
    _changing: Changing
    _history: History

    async def SendMessage(self, request: api.SendMessageRequest, context: Context) -> api.SendMessageResponse:
        wanted = request_of(
            *(said(request), request.client_message_id, request.reply_to_seq, tuple(request.attachment_ids)),
            view_once=request.view_once,
        )
        message = await self._sending.send(me(), request.conversation_id, wanted)
        return api.SendMessageResponse(message=message_message(message))

    async def ListMessages(self, request: api.ListMessagesRequest, context: Context) -> api.ListMessagesResponse:
        messages, has_more = await self._history.list_messages(
            me(), request.conversation_id, request.before_seq, request.page_size
        )
        return api.ListMessagesResponse(messages=[message_message(message) for message in messages], has_more=has_more)

    async def EditMessage(self, request: api.EditMessageRequest, context: Context) -> api.EditMessageResponse:
        message = await self._changing.edit_message(me(), request.conversation_id, request.seq, read_text(request.text))
        return api.EditMessageResponse(message=message_message(message))

    async def ListEdits(self, request: api.ListEditsRequest, context: Context) -> api.ListEditsResponse:
        edits = await self._history.list_edits(me(), request.conversation_id, request.seq)
        return api.ListEditsResponse(edits=[edit_message(edit) for edit in edits])

    async def UnsendMessage(self, request: api.UnsendMessageRequest, context: Context) -> api.UnsendMessageResponse:
        message = await self._changing.unsend_message(me(), request.conversation_id, request.seq)
        return api.UnsendMessageResponse(message=message_message(message))

    async def SetReaction(self, request: api.SetReactionRequest, context: Context) -> api.SetReactionResponse:
        message = await self._changing.set_reaction(
            me(), request.conversation_id, request.seq, request.emoji, present=request.present
        )
        return api.SetReactionResponse(message=message_message(message))

    async def VotePoll(self, request: api.VotePollRequest, context: Context) -> api.VotePollResponse:
        message = await self._changing.vote_poll(me(), request.conversation_id, request.seq, request.option_indexes)
        return api.VotePollResponse(message=message_message(message))
