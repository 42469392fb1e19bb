"""The method of MessagingService that lets messages vanish."""

from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.vanishing.service import Vanishing
from services.messaging.wire.api import conversation_message
from services.messaging.wire.requests import length, me
from services.runtime.grpc.guard import Context


class VanishingRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _vanishing: Vanishing

    async def SetVanishing(self, request: api.SetVanishingRequest, context: Context) -> api.SetVanishingResponse:
        vanish_after = length("vanish_after", request.vanish_after)
        conversation = await self._vanishing.set_vanishing(me(), request.conversation_id, vanish_after)
        return api.SetVanishingResponse(conversation=conversation_message(conversation))
