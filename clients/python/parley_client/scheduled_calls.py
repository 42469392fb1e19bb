"""Scheduled calls of one device: plan, change, cancel and answer them, and wait for their time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import scheduled_pb2 as scheduled
from parley.calls.v1 import service_pb2 as api

from parley_client.retries import retrying

if TYPE_CHECKING:
    from parley_client.client import Device
    from parley_client.stream import EventStream

PLANNED = scheduled.SCHEDULED_CALL_STATE_PLANNED
OPEN = scheduled.SCHEDULED_CALL_STATE_OPEN
ENDED = scheduled.SCHEDULED_CALL_STATE_ENDED
UNATTENDED = scheduled.SCHEDULED_CALL_STATE_UNATTENDED
CANCELLED = scheduled.SCHEDULED_CALL_STATE_CANCELLED
YES = scheduled.ATTENDANCE_ANSWER_YES
NO = scheduled.ATTENDANCE_ANSWER_NO
MAYBE = scheduled.ATTENDANCE_ANSWER_MAYBE


class ScheduledCalls:
    """What protos/parley/calls/v1/service.proto has of scheduled calls. A refusal is a grpc.aio.AioRpcError.

    Times must have a time zone. The stream's inbox has those that were told, by id (`inbox.scheduled_calls`).
    """

    def __init__(self, device: Device, stream: EventStream) -> None:
        self._device = device
        self._stream = stream

    async def schedule(
        self,
        conversation_id: str,
        title: str,
        start: datetime,
        *,
        length: timedelta = timedelta(minutes=30),
        reminder: timedelta = timedelta(0),
        video: bool = False,
    ) -> scheduled.ScheduledCall:
        """Plan a call in a conversation. `reminder`: so long before everybody is reminded; 0 for not at all."""
        request = api.ScheduleCallRequest(
            conversation_id=conversation_id,
            title=title,
            video=video,
            start_time=_stamp(start),
            length_s=_seconds(length),
            reminder_s=_seconds(reminder),
            client_request_id=str(uuid.uuid4()),
        )
        return (await retrying(lambda: self._device.calls.ScheduleCall(request))).scheduled_call

    async def change(
        self,
        scheduled_call_id: str,
        title: str,
        start: datetime,
        *,
        length: timedelta,
        reminder: timedelta,
        video: bool,
    ) -> scheduled.ScheduledCall:
        """Plan it anew. All of it is given: what is left as it was, too."""
        request = api.ChangeScheduledCallRequest(
            scheduled_call_id=scheduled_call_id,
            title=title,
            video=video,
            start_time=_stamp(start),
            length_s=_seconds(length),
            reminder_s=_seconds(reminder),
        )
        return (await retrying(lambda: self._device.calls.ChangeScheduledCall(request))).scheduled_call

    async def cancel(self, scheduled_call_id: str) -> scheduled.ScheduledCall:
        """Take it back; its links open no more."""
        request = api.CancelScheduledCallRequest(scheduled_call_id=scheduled_call_id)
        return (await retrying(lambda: self._device.calls.CancelScheduledCall(request))).scheduled_call

    async def answer(
        self, scheduled_call_id: str, answer: scheduled.AttendanceAnswer.ValueType
    ) -> scheduled.ScheduledCall:
        """Say whether one comes: YES, NO or MAYBE."""
        request = api.AnswerScheduledCallRequest(scheduled_call_id=scheduled_call_id, answer=answer)
        return (await retrying(lambda: self._device.calls.AnswerScheduledCall(request))).scheduled_call

    async def list(self, conversation_id: str) -> Sequence[scheduled.ScheduledCall]:
        """Those of a conversation that are not over, the next one first."""
        request = api.ListScheduledCallsRequest(conversation_id=conversation_id)
        return (await self._device.calls.ListScheduledCalls(request)).scheduled_calls

    async def until_state(
        self, scheduled_call_id: str, state: scheduled.ScheduledCallState.ValueType, deadline_s: float
    ) -> scheduled.ScheduledCall:
        """As it is told once it stands so. Raises DeadlineMissedError."""
        known = self._stream.inbox.scheduled_calls

        def stands() -> bool:
            return scheduled_call_id in known and known[scheduled_call_id].state == state

        await self._stream.until(stands, deadline_s, "the scheduled call")
        return known[scheduled_call_id]


def _stamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def _seconds(length: timedelta) -> int:
    return int(length.total_seconds())
