"""The method of MessagingService that pins messages."""

import grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.kernel import errors
from services.messaging.kernel.withholding import shown_to
from services.messaging.pins.service import Pins
from services.messaging.wire.api import conversation_message
from services.messaging.wire.requests import me
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Context

ERRORS: ErrorTable = {
    errors.TooManyPins: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_PINS"),
}


class PinsRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _pins: Pins

    async def SetMessagePinned(
        self, request: api.SetMessagePinnedRequest, context: Context
    ) -> api.SetMessagePinnedResponse:
        conversation = await self._pins.set_pinned(me(), request.conversation_id, request.seq, pinned=request.pinned)
        return api.SetMessagePinnedResponse(conversation=conversation_message(shown_to(conversation, me())))
