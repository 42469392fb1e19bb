"""What is held back for a review, and what may become of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType
from uuid import UUID

from services.messaging.hooks.core.verdicts import Question, Writing
from services.messaging.kernel.content import Content
from services.messaging.kernel.errors import HeldDecided
from services.messaging.kernel.model import Attachment, ConversationKind, DraftKey, UserId

HeldId = NewType("HeldId", UUID)

# Of one sender, waiting. Raising it lets one person put more before the reviewers; lowering it refuses what might pass.
MAX_HELD = 50


class HeldState(Enum):
    """Of a held message."""

    WAITING = "waiting"
    # Somebody let it pass, and it may or may not be sent yet.
    RELEASING = "releasing"
    RELEASED = "released"
    REFUSED = "refused"


class Decision(Enum):
    """What a reviewer wants, or its sender."""

    RELEASE = "release"
    # It could not be sent.
    PUT_BACK = "put back"
    SENT = "sent"
    REFUSE = "refuse"
    # Its sender takes it back: to reviewers, and to a retry, it counts as refused.
    WITHDRAW = "withdraw"


# Total; None: it was decided otherwise.
_TABLE: dict[tuple[HeldState, Decision], HeldState | None] = {
    (HeldState.WAITING, Decision.RELEASE): HeldState.RELEASING,
    (HeldState.WAITING, Decision.PUT_BACK): HeldState.WAITING,
    # Two let it pass at once, and the other one could not send it.
    (HeldState.WAITING, Decision.SENT): HeldState.RELEASED,
    (HeldState.WAITING, Decision.REFUSE): HeldState.REFUSED,
    (HeldState.WAITING, Decision.WITHDRAW): HeldState.REFUSED,
    (HeldState.RELEASING, Decision.RELEASE): HeldState.RELEASING,
    (HeldState.RELEASING, Decision.PUT_BACK): HeldState.WAITING,
    (HeldState.RELEASING, Decision.SENT): HeldState.RELEASED,
    (HeldState.RELEASING, Decision.REFUSE): None,
    (HeldState.RELEASING, Decision.WITHDRAW): None,
    (HeldState.RELEASED, Decision.RELEASE): HeldState.RELEASED,
    (HeldState.RELEASED, Decision.PUT_BACK): HeldState.RELEASED,
    (HeldState.RELEASED, Decision.SENT): HeldState.RELEASED,
    (HeldState.RELEASED, Decision.REFUSE): None,
    (HeldState.RELEASED, Decision.WITHDRAW): None,
    (HeldState.REFUSED, Decision.RELEASE): None,
    (HeldState.REFUSED, Decision.PUT_BACK): HeldState.REFUSED,
    # It was sent before it was refused; nobody can take that back so.
    (HeldState.REFUSED, Decision.SENT): HeldState.RELEASED,
    (HeldState.REFUSED, Decision.REFUSE): HeldState.REFUSED,
    (HeldState.REFUSED, Decision.WITHDRAW): HeldState.REFUSED,
}


def decide(state: HeldState, decision: Decision) -> HeldState:
    """The state afterwards. Raises HeldDecided."""
    after = _TABLE[state, decision]
    if after is None:
        raise HeldDecided(f"it is {state.value} already")
    return after


@dataclass(frozen=True)
class Held:
    """Something held: a new message without a seq, or the new text of the message at `seq`. What was decided on holds
    nothing of what it said."""

    id: HeldId
    key: DraftKey
    content: Content
    held_at: datetime
    hook_reason: str = ""
    seq: int = 0
    reply_to_seq: int = 0
    attachments: tuple[Attachment, ...] = ()
    forwarded: bool = False
    state: HeldState = HeldState.WAITING
    view_once: bool = False


# What an edit is held under: nothing that a device may choose as an id of its own.
_EDIT_KEY_PREFIX = "\x1fedit/"


def edit_key(seq: int) -> str:
    """The client_message_id that the new text of the message at `seq` is held under."""
    return f"{_EDIT_KEY_PREFIX}{seq}"


def held_of(question: Question, hook_reason: str) -> Held | None:
    """What waits for a review of what was asked about; None for what cannot wait: a title."""
    if question.writing is Writing.GROUP_TITLE or question.conversation_id is None:
        return None
    return Held(
        HeldId(question.check_id),
        DraftKey(question.conversation_id, question.sender_id, question.client_message_id),
        question.content,
        question.asked_at,
        hook_reason,
        question.seq,
        question.reply_to_seq,
        question.attachments,
        question.forwarded,
        view_once=question.view_once,
    )


@dataclass(frozen=True)
class Place:
    """A conversation as somebody stands in it who is about to write there, and what became of the same before."""

    kind: ConversationKind
    is_member: bool
    is_blocked: bool = False
    is_frozen: bool = False
    # There are others, and none of them has let it in.
    is_request: bool = False
    # Of direct conversations: the other one.
    peer_id: UserId | None = None
    # Of what was held under the same key.
    held: HeldState | None = None
    # Of what was remembered, not looked up: the version of the conversation (its column `facts`) as of which all this
    # is so. What is judged by it is stored only while it still is.
    version: int | None = None


@dataclass(frozen=True)
class Queue:
    """How much waits, and since when the oldest does."""

    count: int
    oldest: datetime | None = None
