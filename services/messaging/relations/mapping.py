"""Between the core's types and the protobufs of the API and of the network's graph."""

from datetime import UTC, datetime

from google.protobuf.message import DecodeError
from parley.graph.v1 import events_pb2
from parley.messaging.v1 import relations_pb2 as api

from services.messaging.kernel.checks import check_user_id
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import UserId
from services.messaging.relations.core.graph import GraphEvent, GraphEventKind, check_other
from services.messaging.relations.core.reach import Audience, Settings
from services.messaging.relations.core.reports import Reason, Report, ReportedMessage, State
from services.messaging.wire.values import to_timestamp
from services.runtime.kafka.bus import PoisonRecord

_AUDIENCES = {
    Audience.EVERYONE: api.AUDIENCE_EVERYONE,
    Audience.FOLLOWED: api.AUDIENCE_FOLLOWED,
    Audience.VERIFIED: api.AUDIENCE_VERIFIED,
    Audience.NOBODY: api.AUDIENCE_NOBODY,
    Audience.CONTACTED: api.AUDIENCE_CONTACTED,
}
_REASONS = {
    Reason.SPAM: api.REPORT_REASON_SPAM,
    Reason.ABUSE: api.REPORT_REASON_ABUSE,
    Reason.SELF_HARM: api.REPORT_REASON_SELF_HARM,
    Reason.ILLEGAL: api.REPORT_REASON_ILLEGAL,
    Reason.OTHER: api.REPORT_REASON_OTHER,
}
_STATES = {
    State.OPEN: api.REPORT_STATE_OPEN,
    State.UPHELD: api.REPORT_STATE_UPHELD,
    State.DISMISSED: api.REPORT_STATE_DISMISSED,
}
# Of requests. What is not in them has no meaning.
AUDIENCES_BACK = {value: key for key, value in _AUDIENCES.items()}
REASONS_BACK = {value: key for key, value in _REASONS.items()}
STATES_BACK = {value: key for key, value in _STATES.items()}


def settings_message(settings: Settings) -> api.Settings:
    """The API's form of a person's settings."""
    return api.Settings(
        message_audience=_AUDIENCES[settings.messages],
        presence_audience=_AUDIENCES[settings.presence],
        call_audience=_AUDIENCES[settings.calls],
        send_receipts=settings.send_receipts,
    )


def report_message(report: Report) -> api.ReportRecord:
    """The API's form of a report."""
    return api.ReportRecord(
        report_id=str(report.id),
        reporter_id=report.reporter_id,
        conversation_id=str(report.conversation_id),
        reason=_REASONS[report.reason],
        comment=report.comment,
        create_time=to_timestamp(report.created_at),
        state=_STATES[report.state],
        resolved_by=report.resolved_by,
        resolve_time=to_timestamp(report.resolved_at) if report.resolved_at else None,
        messages=[_copy_message(copy) for copy in report.messages],
    )


def _copy_message(copy: ReportedMessage) -> api.ReportedMessage:
    return api.ReportedMessage(
        seq=copy.seq,
        sender_id=copy.sender_id,
        send_time=to_timestamp(copy.sent_at),
        text=copy.text,
        attachment_ids=copy.attachment_ids,
    )


def graph_event(value: bytes | None) -> GraphEvent:
    """A fact of the network's graph. Raises PoisonRecord, which quotes nothing of it."""
    try:
        event = events_pb2.GraphEvent.FromString(value or b"")
        user, time = check_user_id("user_id", event.user_id), _time(event)
        match event.WhichOneof("fact"):
            case "follow_changed":
                follow = event.follow_changed
                other = _other("followed_user_id", user, follow.followed_user_id)
                return GraphEvent(GraphEventKind.FOLLOWS, user, other, follow.follows, time)
            case "block_changed":
                block = event.block_changed
                other = _other("blocked_user_id", user, block.blocked_user_id)
                return GraphEvent(GraphEventKind.BLOCKS, user, other, block.blocks, time)
            case "verification_changed":
                return GraphEvent(GraphEventKind.VERIFIED, user, UserId(""), event.verification_changed.verified, time)
    except DecodeError as error:
        raise PoisonRecord("not a GraphEvent") from error
    except InvalidField as error:
        raise PoisonRecord(f"{error.field}: {error}") from error
    raise PoisonRecord("an event of an unknown kind")


def _other(field: str, user: UserId, value: str) -> UserId:
    return check_other(field, user, check_user_id(field, value))


def _time(event: events_pb2.GraphEvent) -> datetime:
    if not event.HasField("event_time"):
        raise InvalidField("event_time", "is not set")
    try:
        return event.event_time.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidField("event_time", "is not a time") from error
