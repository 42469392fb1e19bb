"""The methods of MessagingService about receipts."""

from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.receipts.service import Receipts
from services.messaging.wire.requests import me
from services.runtime.grpc.guard import Context


class ReceiptsRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _receipts: Receipts

    async def MarkRead(self, request: api.MarkReadRequest, context: Context) -> api.MarkReadResponse:
        read_seq = await self._receipts.mark_read(me(), request.conversation_id, request.seq)
        return api.MarkReadResponse(read_seq=read_seq)

    async def MarkDelivered(self, request: api.MarkDeliveredRequest, context: Context) -> api.MarkDeliveredResponse:
        await self._receipts.mark_delivered(me(), [(cursor.conversation_id, cursor.seq) for cursor in request.cursors])
        return api.MarkDeliveredResponse()
