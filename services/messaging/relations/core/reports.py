"""Reports for the moderators, with copies of what was reported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from services.messaging.kernel.characters import check_storable
from services.messaging.kernel.checks import check_client_id, check_seq
from services.messaging.kernel.content import reported_text
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import ConversationId, Message, UserId
from services.messaging.relations.core.errors import ReportClosed

# Copies of a report. Raising it gives moderators more context, and copies more of what others wrote.
MAX_MESSAGES = 50
MAX_COMMENT_CHARS = 2_000


class Reason(Enum):
    SPAM = "spam"
    ABUSE = "abuse"
    SELF_HARM = "self_harm"
    ILLEGAL = "illegal"
    OTHER = "other"


class State(Enum):
    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"


@dataclass(frozen=True)
class ReportedMessage:
    """A copy of a message as its reader saw it. `text` is what the search finds of it, and below it the address of
    a picture that a provider keeps; empty for none."""

    seq: int
    sender_id: UserId
    sent_at: datetime
    text: str
    attachment_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A conversation or some of its messages, reported. In lists the copies are left out."""

    id: UUID
    reporter_id: UserId
    client_report_id: str
    conversation_id: ConversationId
    reason: Reason
    comment: str
    created_at: datetime
    messages: tuple[ReportedMessage, ...] = ()
    state: State = State.OPEN
    resolved_by: str = ""
    resolved_at: datetime | None = None
    # Whom it is about, never the reporter.
    reported_ids: tuple[UserId, ...] = ()


@dataclass(frozen=True)
class ReportRequest:
    """A report as its maker wants it; without seqs it means the conversation as a whole."""

    client_report_id: str
    conversation_id: str
    seqs: Sequence[int]
    reason: Reason | None
    comment: str


def check_request(request: ReportRequest) -> tuple[Reason, tuple[int, ...]]:
    """The reason and the seqs, each once, ascending. Raises InvalidField."""
    check_client_id("client_report_id", request.client_report_id)
    if request.reason is None:
        raise InvalidField("reason", "is not set, or not known")
    if len(check_storable("comment", request.comment)) > MAX_COMMENT_CHARS:
        raise InvalidField("comment", f"must have at most {MAX_COMMENT_CHARS} characters")
    if len(request.seqs) > MAX_MESSAGES:
        raise InvalidField("seqs", f"has {len(request.seqs)} entries; at most {MAX_MESSAGES} are allowed")
    return request.reason, tuple(sorted({check_seq("seqs", seq) for seq in request.seqs}))


def copy_of(message: Message) -> ReportedMessage:
    """The copy of a message."""
    # Those of the objects: the bytes of a forwarded file stand under the name of the first upload.
    attachment_ids = tuple(str(attachment.object_id or attachment.id) for attachment in message.attachments)
    text = reported_text(message.content)
    return ReportedMessage(message.seq, message.sender_id, message.sent_at, text, attachment_ids)


def reported_by(reporter: UserId, messages: Sequence[Message]) -> tuple[UserId, ...]:
    """Whom a report of these messages is about."""
    return tuple(sorted({message.sender_id for message in messages} - {reporter}))


def resolve(report: Report, state: State, resolver: str, now: datetime) -> Report | None:
    """The report closed; None when it is closed so already. Raises ReportClosed when it was closed otherwise."""
    if report.state is state:
        return None
    if report.state is not State.OPEN:
        raise ReportClosed
    return replace(report, state=state, resolved_by=resolver, resolved_at=now)
