"""What is asked, and answered, about telling a person of something."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.messaging.kernel.checks import check_seq, check_user_id, check_uuid
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import UserId
from services.messaging.kernel.request import RequestState

# Of one call. Raising it makes longer statements; lowering it makes more calls.
MAX_QUESTIONS = 1_000


@dataclass(frozen=True)
class NoticeQuestion:
    """Whether somebody is told of what another did. `from_user_id` is empty where nobody is asked about."""

    user_id: UserId
    conversation_id: UUID
    from_user_id: str = ""
    reply_to_seq: int = 0


@dataclass(frozen=True)
class NoticeFacts:
    """The answer; who is no member is told nothing else."""

    is_member: bool = False
    is_group: bool = False
    request: RequestState = RequestState.ACCEPTED
    is_blocked: bool = False
    muted_until: datetime | None = None
    read_seq: int = 0
    is_reply_to_own: bool = False
    title: str = ""


def check_count(count: int) -> None:
    """Raises InvalidField."""
    if count > MAX_QUESTIONS:
        raise InvalidField("questions", f"has {count} entries; at most {MAX_QUESTIONS} are allowed")


def check_question(user_id: str, conversation_id: str, from_user_id: str, reply_to_seq: int) -> NoticeQuestion:
    """Raises InvalidField."""
    return NoticeQuestion(
        UserId(check_user_id("questions.user_id", user_id)),
        check_uuid("questions.conversation_id", conversation_id),
        check_user_id("questions.from_user_id", from_user_id) if from_user_id else "",
        check_seq("questions.reply_to_seq", reply_to_seq),
    )
