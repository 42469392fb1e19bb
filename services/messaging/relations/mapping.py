"""Between the core's types and the protobufs of the API."""

from parley.messaging.v1 import relations_pb2 as api

from services.messaging.relations.core.reach import Audience, Settings
from services.messaging.relations.core.reports import Reason, Report, ReportedMessage, State
from services.messaging.wire.values import to_timestamp

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
