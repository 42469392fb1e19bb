"""The method of MessagingService that forwards messages."""

import grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.forwarding.service import Forwarding
from services.messaging.kernel import errors
from services.messaging.kernel.errors import MessagingError
from services.messaging.kernel.model import Message
from services.messaging.wire.api import message_message
from services.messaging.wire.requests import me
from services.runtime.errors import ErrorTable, Refusal, find_refusal, retry_delay_s, status_details
from services.runtime.grpc.guard import Context

ERRORS: ErrorTable = {
    errors.NotForwardable: Refusal(grpc.StatusCode.FAILED_PRECONDITION, "NOT_FORWARDABLE"),
}


class ForwardingRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-case stands in service.py. The servicer of messaging's rpc.py is made of these."""

    _forwarding: Forwarding
    # Of all features: a copy is refused as a send is.
    _refusals: ErrorTable

    async def ForwardMessage(self, request: api.ForwardMessageRequest, context: Context) -> api.ForwardMessageResponse:
        targets = [(target.conversation_id, target.client_message_id) for target in request.targets]
        results = await self._forwarding.forward(me(), request.conversation_id, request.seq, targets)
        return api.ForwardMessageResponse(results=[self._result(result) for result in results])

    def _result(self, result: Message | MessagingError) -> api.ForwardResult:
        if isinstance(result, Message):
            return api.ForwardResult(message=message_message(result))
        refusal = find_refusal(self._refusals, result)
        if refusal is None:
            raise result
        told = api.ForwardRefusal(reason=refusal.reason)
        delay_s = retry_delay_s(status_details(refusal, result))
        if delay_s is not None:
            told.retry_delay.FromNanoseconds(int(delay_s * 1e9))
        return api.ForwardResult(refusal=told)
