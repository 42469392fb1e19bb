"""ScheduledMessagesService over gRPC."""

from datetime import timedelta

import grpc
from parley.messaging.v1 import scheduled_pb2 as api
from parley.messaging.v1 import scheduled_pb2_grpc, service_pb2

from services.messaging.kernel import errors
from services.messaging.kernel.model import Message
from services.messaging.messages.service.requests import Said, request_of
from services.messaging.scheduling.core import Refused
from services.messaging.scheduling.mapping import scheduled_message
from services.messaging.scheduling.service.scheduling import Scheduling
from services.messaging.wire.api import message_message
from services.messaging.wire.requests import instant, me, said
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal, find_refusal, retry_delay_s, status_details
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api

_CODE = grpc.StatusCode

ERRORS: ErrorTable = {
    errors.ScheduledNotFound: Refusal(_CODE.NOT_FOUND, "SCHEDULED_NOT_FOUND"),
    errors.ScheduledSent: Refusal(_CODE.FAILED_PRECONDITION, "SCHEDULED_SENT"),
    errors.ScheduledCancelled: Refusal(_CODE.FAILED_PRECONDITION, "SCHEDULED_CANCELLED"),
    errors.TooManyScheduled: Refusal(_CODE.RESOURCE_EXHAUSTED, "TOO_MANY_SCHEDULED"),
}


def apis(scheduling: Scheduling) -> list[Api]:
    """What the server serves of scheduled messages."""
    servicer = ScheduledMessagesServicer(scheduling)
    return [
        Api(
            "parley.messaging.v1.ScheduledMessagesService",
            Access.USER,
            lambda server: scheduled_pb2_grpc.add_ScheduledMessagesServiceServicer_to_server(servicer, server),
        )
    ]


def refusal_in(table: ErrorTable, error: Exception) -> Refused | None:
    """What the writer is told of an attempt that failed; None for what no caller is told: a bug."""
    refusal = find_refusal(table, error)
    if refusal is None:
        return None
    delay_s = retry_delay_s(status_details(refusal, error))
    delay = timedelta(seconds=delay_s) if delay_s is not None else None
    return Refused(refusal.reason, delay, isinstance(error, errors.MessageHeld))


class ScheduledMessagesServicer(scheduled_pb2_grpc.ScheduledMessagesServiceServicer):
    """Translates; the use-cases stand in service/."""

    def __init__(self, scheduling: Scheduling) -> None:
        self._scheduling = scheduling

    async def ScheduleMessage(
        self, request: api.ScheduleMessageRequest, context: Context
    ) -> api.ScheduleMessageResponse:
        if not request.HasField("send_time"):
            raise InvalidRequest("send_time", "is not set")
        send_at = instant("send_time", request.send_time)
        wanted = _said(request.message)
        done = await self._scheduling.schedule(me(), request.message.conversation_id, wanted, send_at)
        if isinstance(done, Message):
            return api.ScheduleMessageResponse(sent=message_message(done))
        return api.ScheduleMessageResponse(scheduled=scheduled_message(done))

    async def UpdateScheduledMessage(
        self, request: api.UpdateScheduledMessageRequest, context: Context
    ) -> api.UpdateScheduledMessageResponse:
        named = request.message
        send_at = instant("send_time", request.send_time) if request.HasField("send_time") else None
        wanted = _said(named) if named.WhichOneof("content") else None
        after = await self._scheduling.update(me(), named.conversation_id, named.client_message_id, wanted, send_at)
        return api.UpdateScheduledMessageResponse(scheduled=scheduled_message(after))

    async def CancelScheduledMessage(
        self, request: api.CancelScheduledMessageRequest, context: Context
    ) -> api.CancelScheduledMessageResponse:
        await self._scheduling.cancel(me(), request.conversation_id, request.client_message_id)
        return api.CancelScheduledMessageResponse()

    async def ListScheduledMessages(
        self, request: api.ListScheduledMessagesRequest, context: Context
    ) -> api.ListScheduledMessagesResponse:
        found, following = await self._scheduling.list_own(me(), request.page_size, request.page_token)
        return api.ListScheduledMessagesResponse(
            messages=[scheduled_message(each) for each in found], next_page_token=following
        )


def _said(request: service_pb2.SendMessageRequest) -> Said:
    if request.view_once:
        raise InvalidRequest("view_once", "cannot be set here")
    return request_of(said(request), request.client_message_id, request.reply_to_seq, tuple(request.attachment_ids))
