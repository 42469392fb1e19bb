"""What is kept of what somebody has written and not sent."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.messaging.kernel.model import ConversationId, UserId

# Of one person. Raising it lets one person fill more rows; lowering it refuses people who leave much unsent.
MAX_DRAFTS = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class KeptDraft:
    """As it stands. An empty text: there is none."""

    user_id: UserId
    conversation_id: ConversationId
    text: str
    reply_to_seq: int
    revision: int
    changed_at: datetime
    # Where messages vanish.
    expires_at: datetime | None = None


@dataclass(frozen=True)
class WantedDraft:
    """What a device has in its field; empty takes the draft away."""

    text: str
    reply_to_seq: int = 0


def write(
    before: KeptDraft | None,
    place: tuple[UserId, ConversationId],
    wanted: WantedDraft,
    now: datetime,
    vanish_after: timedelta | None,
) -> KeptDraft | None:
    """The draft afterwards; whoever writes last wins. None when it is so already.

    Revisions rise also over a draft that was taken away, of which nothing is kept: they are not below the time.
    """
    shown = before if before and not is_over(before, now) else None
    if wanted == (WantedDraft(shown.text, shown.reply_to_seq) if shown else WantedDraft("")):
        return None
    revision = max(before.revision + 1 if before else 0, (now - _EPOCH) // timedelta(microseconds=1))
    expires_at = now + vanish_after if vanish_after and wanted.text else None
    return KeptDraft(*place, wanted.text, wanted.reply_to_seq, revision, now, expires_at)


def none_of(place: tuple[UserId, ConversationId], now: datetime) -> KeptDraft:
    """That there is none."""
    return KeptDraft(*place, "", 0, 0, now)


def is_over(draft: KeptDraft, now: datetime) -> bool:
    """Whether nobody is shown it any more."""
    return draft.expires_at is not None and draft.expires_at <= now
