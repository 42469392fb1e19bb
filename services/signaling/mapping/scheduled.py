"""Scheduled calls as protobufs, and what requests plan."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import scheduled_pb2

from services.signaling.scheduled.core import Answer, Draft, Notice, ScheduledCall, State

_SCHEDULED_STATES = {
    State.PLANNED: scheduled_pb2.SCHEDULED_CALL_STATE_PLANNED,
    State.OPEN: scheduled_pb2.SCHEDULED_CALL_STATE_OPEN,
    State.ENDED: scheduled_pb2.SCHEDULED_CALL_STATE_ENDED,
    State.UNATTENDED: scheduled_pb2.SCHEDULED_CALL_STATE_UNATTENDED,
    State.CANCELLED: scheduled_pb2.SCHEDULED_CALL_STATE_CANCELLED,
}
_ANSWERS = {
    Answer.YES: scheduled_pb2.ATTENDANCE_ANSWER_YES,
    Answer.NO: scheduled_pb2.ATTENDANCE_ANSWER_NO,
    Answer.MAYBE: scheduled_pb2.ATTENDANCE_ANSWER_MAYBE,
}
_ANSWERS_BACK = {encoded: answer for answer, encoded in _ANSWERS.items()}
NOTICES = {
    Notice.REMINDER: scheduled_pb2.SCHEDULED_CALL_NOTICE_REMINDER,
    Notice.BEGINS: scheduled_pb2.SCHEDULED_CALL_NOTICE_BEGINS,
}


def encode_scheduled(call: ScheduledCall) -> scheduled_pb2.ScheduledCall:
    """As the members of its conversation are told of it."""
    encoded = scheduled_pb2.ScheduledCall(
        scheduled_call_id=call.scheduled_id,
        conversation_id=call.conversation_id,
        maker_user_id=call.maker_id,
        title=call.draft.title,
        video=call.draft.video,
        length_s=call.draft.length_s,
        reminder_s=call.draft.reminder_s,
        state=_SCHEDULED_STATES[call.state],
        call_id=call.call_id or "",
        answers=[
            scheduled_pb2.ScheduledCallAnswer(user_id=user_id, answer=_ANSWERS[answer])
            for user_id, answer in sorted(call.answers.items())
        ],
        version=call.version,
        group=call.group,
    )
    encoded.start_time.FromDatetime(call.draft.start_time)
    encoded.create_time.FromDatetime(call.create_time)
    return encoded


def encode_entry(call: ScheduledCall, link_id: str, *, is_member: bool) -> scheduled_pb2.ScheduledEntry:
    """All that is told outside of the conversation; to members, which one it is."""
    entry = scheduled_pb2.ScheduledEntry(
        link_id=link_id, title=call.draft.title, video=call.draft.video, scheduled_call_id=call.scheduled_id
    )
    entry.start_time.FromDatetime(call.draft.start_time)
    if is_member:
        entry.conversation_id = call.conversation_id
    return entry


def to_draft(title: str, video: bool, start_time: Timestamp, length_s: int, reminder_s: int) -> Draft:
    """What a request plans; core.find_fault checks it. Raises ValueError for what is no time."""
    try:
        start: datetime = start_time.ToDatetime(UTC)
    except OverflowError as error:
        raise ValueError("no time") from error
    return Draft(title.strip(), video, start.replace(microsecond=0), length_s, reminder_s)


def to_answer(encoded: scheduled_pb2.AttendanceAnswer.ValueType) -> Answer | None:
    """None for what is none."""
    return _ANSWERS_BACK.get(encoded)
