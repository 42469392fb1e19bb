"""The method of MessagingService about what is held for a review."""

import grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.kernel import errors
from services.messaging.wire.requests import me
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.grpc.guard import Context

_CODE = grpc.StatusCode

ERRORS: ErrorTable = {
    errors.MessageHeld: Refusal(_CODE.FAILED_PRECONDITION, "MESSAGE_HELD"),
    errors.MessageRefused: Refusal(_CODE.FAILED_PRECONDITION, "MESSAGE_REFUSED"),
    errors.HookUnavailable: Refusal(_CODE.UNAVAILABLE, "HOOK_UNAVAILABLE", retry_delay_s=2.0),
    errors.HeldNotFound: Refusal(_CODE.NOT_FOUND, "HELD_NOT_FOUND"),
    errors.HeldDecided: Refusal(_CODE.FAILED_PRECONDITION, "HELD_DECIDED"),
}


class HooksRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service/. The servicer of messaging's rpc.py is made of these."""

    _withdrawals: Withdrawals

    async def WithdrawHeldMessage(
        self, request: api.WithdrawHeldMessageRequest, context: Context
    ) -> api.WithdrawHeldMessageResponse:
        match request.WhichOneof("held"):
            case "client_message_id":
                await self._withdrawals.message(me(), request.conversation_id, request.client_message_id)
            case "seq":
                await self._withdrawals.edit(me(), request.conversation_id, request.seq)
            case _:
                raise InvalidRequest("held", "is not set")
        return api.WithdrawHeldMessageResponse()
