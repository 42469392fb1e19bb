"""The methods of CallsService about scheduled calls."""

from parley.calls.v1 import service_pb2 as api
from parley.calls.v1 import service_pb2_grpc

from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Context
from services.signaling.core.model import ConversationId, ScheduledId
from services.signaling.mapping.scheduled import encode_scheduled, to_answer, to_draft
from services.signaling.requests import check_uuid, me, request_id
from services.signaling.scheduled.core import Draft, find_fault
from services.signaling.scheduled.service import ScheduledCalls


class ScheduledCallRpcs(service_pb2_grpc.CallsServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of signaling's rpc.py is made of these."""

    _scheduled: ScheduledCalls

    async def ScheduleCall(self, request: api.ScheduleCallRequest, context: Context) -> api.ScheduleCallResponse:
        conversation_id = ConversationId(check_uuid("conversation_id", request.conversation_id))
        call = await self._scheduled.schedule(me(), conversation_id, self._draft(request), request_id(request))
        return api.ScheduleCallResponse(scheduled_call=encode_scheduled(call))

    async def ChangeScheduledCall(
        self, request: api.ChangeScheduledCallRequest, context: Context
    ) -> api.ChangeScheduledCallResponse:
        call = await self._scheduled.change(_id_of(request.scheduled_call_id), me(), self._draft(request))
        return api.ChangeScheduledCallResponse(scheduled_call=encode_scheduled(call))

    async def CancelScheduledCall(
        self, request: api.CancelScheduledCallRequest, context: Context
    ) -> api.CancelScheduledCallResponse:
        call = await self._scheduled.cancel(_id_of(request.scheduled_call_id), me())
        return api.CancelScheduledCallResponse(scheduled_call=encode_scheduled(call))

    async def AnswerScheduledCall(
        self, request: api.AnswerScheduledCallRequest, context: Context
    ) -> api.AnswerScheduledCallResponse:
        answer = to_answer(request.answer)
        if answer is None:
            raise InvalidRequest("answer", "is none")
        call = await self._scheduled.answer(_id_of(request.scheduled_call_id), me(), answer)
        return api.AnswerScheduledCallResponse(scheduled_call=encode_scheduled(call))

    async def ListScheduledCalls(
        self, request: api.ListScheduledCallsRequest, context: Context
    ) -> api.ListScheduledCallsResponse:
        conversation_id = ConversationId(check_uuid("conversation_id", request.conversation_id))
        calls = await self._scheduled.list_in(conversation_id, me())
        return api.ListScheduledCallsResponse(scheduled_calls=[encode_scheduled(call) for call in calls])

    def _draft(self, request: api.ScheduleCallRequest | api.ChangeScheduledCallRequest) -> Draft:
        try:
            draft = to_draft(request.title, request.video, request.start_time, request.length_s, request.reminder_s)
        except ValueError as error:
            raise InvalidRequest("start_time", "is no time") from error
        if fault := find_fault(draft, self._scheduled.clock.now()):
            raise InvalidRequest(*fault)
        return draft


def _id_of(value: str) -> ScheduledId:
    return ScheduledId(check_uuid("scheduled_call_id", value))
