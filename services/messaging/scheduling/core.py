"""What may become of a message that waits for its time, and when somebody has to look at it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType
from uuid import UUID

from services.messaging.kernel.content import Content, Expired
from services.messaging.kernel.errors import (
    InvalidField,
    MessageHeld,
    MessagingError,
    ScheduledCancelled,
    ScheduledNotFound,
    ScheduledSent,
)
from services.messaging.kernel.model import Attachment, DraftKey

ScheduledId = NewType("ScheduledId", UUID)

# Of one person, those that were refused too. Raising it lets one person fill more rows; lowering it refuses people who
# plan ahead.
MAX_SCHEDULED = 100
# Raising it keeps rows, and their files, for longer; lowering it refuses later times.
MAX_AHEAD = timedelta(days=30)
# What was refused is kept for its writer. Raising it keeps rows for longer; lowering it takes the reason from people
# who look late.
REFUSED_KEPT = timedelta(days=30)
# What was cancelled stays known by its key. Raising it keeps empty rows for longer; lowering it may let a late retry
# schedule again what was cancelled.
CANCELLED_KEPT = timedelta(days=1)
# Between looks at what the network reviews. Raising it tells the writer later what became of it; lowering it makes more
# queries.
HELD_LOOK = timedelta(minutes=10)
# What cannot be taken just then is tried again: at first after this, and every time after twice as long, up to the
# most. Raising these sends later than might be; lowering them asks what is not there more often.
FIRST_RETRY, MAX_RETRY = timedelta(seconds=5), timedelta(minutes=10)
# All in all about half an hour. Raising it sends late what nobody expects any more; lowering it gives up in a longer
# outage.
MAX_ATTEMPTS = 10


class ScheduledState(Enum):
    """Of a message that waits for its time."""

    WAITING = "waiting"
    # A replica has taken it. It may or may not be sent already.
    SENDING = "sending"
    REFUSED = "refused"
    # The network reviews it.
    HELD = "held"
    # Its key stays known for a while, and nothing else.
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Scheduled:
    """A message that waits for its time. `revision` rises with what its writer is told of."""

    id: ScheduledId
    key: DraftKey
    content: Content
    send_at: datetime
    due_at: datetime
    created_at: datetime
    revision: int = 1
    reply_to_seq: int = 0
    attachments: tuple[Attachment, ...] = ()
    state: ScheduledState = ScheduledState.WAITING
    attempts: int = 0
    # Of what was refused, and of what the network reviews.
    refusal: str = ""


@dataclass(frozen=True)
class Wanted:
    """What its writer wants it to say from now on."""

    content: Content
    reply_to_seq: int = 0
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Why it was not sent. `retry_delay`: the same may be taken after so long; None: it is refused for good. `held`:
    the network reviews it."""

    reason: str
    retry_delay: timedelta | None = None
    held: bool = False


class Step(Enum):
    """What its writer wants, or what came of an attempt to send it."""

    CHANGE = "change"
    CANCEL = "cancel"
    REFUSE = "refuse"
    HOLD = "hold"
    PUT_OFF = "put off"


_State, _Step = ScheduledState, Step
# Total. An exception: what is asked for cannot be.
_TABLE: dict[tuple[ScheduledState, Step], ScheduledState | type[MessagingError]] = {
    (_State.WAITING, _Step.CHANGE): _State.WAITING,
    (_State.WAITING, _Step.CANCEL): _State.CANCELLED,
    # What comes of an attempt is taken of who has it alone, so that it is SENDING (the store's lease).
    (_State.WAITING, _Step.REFUSE): _State.WAITING,
    (_State.WAITING, _Step.HOLD): _State.WAITING,
    (_State.WAITING, _Step.PUT_OFF): _State.WAITING,
    (_State.SENDING, _Step.CHANGE): ScheduledSent,
    (_State.SENDING, _Step.CANCEL): ScheduledSent,
    (_State.SENDING, _Step.REFUSE): _State.REFUSED,
    (_State.SENDING, _Step.HOLD): _State.HELD,
    (_State.SENDING, _Step.PUT_OFF): _State.WAITING,
    (_State.REFUSED, _Step.CHANGE): _State.WAITING,
    (_State.REFUSED, _Step.CANCEL): _State.CANCELLED,
    (_State.REFUSED, _Step.REFUSE): _State.REFUSED,
    (_State.REFUSED, _Step.HOLD): _State.REFUSED,
    (_State.REFUSED, _Step.PUT_OFF): _State.REFUSED,
    (_State.HELD, _Step.CHANGE): MessageHeld,
    # It was withdrawn from the review before.
    (_State.HELD, _Step.CANCEL): _State.CANCELLED,
    (_State.HELD, _Step.REFUSE): _State.HELD,
    (_State.HELD, _Step.HOLD): _State.HELD,
    (_State.HELD, _Step.PUT_OFF): _State.HELD,
    (_State.CANCELLED, _Step.CHANGE): ScheduledNotFound,
    (_State.CANCELLED, _Step.CANCEL): _State.CANCELLED,
    (_State.CANCELLED, _Step.REFUSE): _State.CANCELLED,
    (_State.CANCELLED, _Step.HOLD): _State.CANCELLED,
    (_State.CANCELLED, _Step.PUT_OFF): _State.CANCELLED,
}


def step(state: ScheduledState, taken: Step) -> ScheduledState:
    """The state afterwards. Raises ScheduledSent, MessageHeld, ScheduledNotFound."""
    after = _TABLE[state, taken]
    if isinstance(after, ScheduledState):
        return after
    raise after


def check_send_at(wanted: datetime, now: datetime) -> datetime:
    """When to send it: a time that is over is now. Raises InvalidField for one that is too far ahead."""
    if wanted > now + MAX_AHEAD:
        raise InvalidField("send_time", f"must be at most {MAX_AHEAD.days} days ahead")
    return max(wanted, now)


def require_known(found: Scheduled | None, *, is_sent: bool) -> Scheduled:
    """What may be changed. Raises ScheduledSent, ScheduledNotFound."""
    if is_sent:
        raise ScheduledSent
    if found is None or found.state is ScheduledState.CANCELLED:
        raise ScheduledNotFound
    return found


def require_new(found: Scheduled | None) -> Scheduled | None:
    """What stands under a key that is to be scheduled. Raises ScheduledCancelled."""
    if found is not None and found.state is ScheduledState.CANCELLED:
        raise ScheduledCancelled
    return found


def change(found: Scheduled, wanted: Wanted | None, send_at: datetime | None, now: datetime) -> Scheduled | None:
    """With what is wanted of it, None leaves each. None when it is so already. Raises as `step` does."""
    after = found
    if wanted is not None:
        after = replace(after, content=wanted.content, reply_to_seq=wanted.reply_to_seq, attachments=wanted.attachments)
    if send_at is not None and not (send_at <= now and found.send_at <= now):
        after = replace(after, send_at=send_at)
    # What was refused is tried again, also as it stands.
    if after == found and found.state is not ScheduledState.REFUSED:
        return None
    state = step(found.state, Step.CHANGE)
    due_at = max(after.send_at, now)
    return replace(after, state=state, due_at=due_at, attempts=0, refusal="", revision=found.revision + 1)


def cancel(found: Scheduled | None, now: datetime, *, is_sent: bool) -> Scheduled | None:
    """Without anything of what it said. None when there is nothing to do. Raises ScheduledSent."""
    if is_sent:
        raise ScheduledSent
    if found is None or found.state is ScheduledState.CANCELLED:
        return None
    state, revision = step(found.state, Step.CANCEL), found.revision + 1
    bare = replace(found, content=Expired(), reply_to_seq=0, attachments=(), attempts=0, refusal="")
    return replace(bare, state=state, due_at=now + CANCELLED_KEPT, revision=revision)


def settle(taken: Scheduled, refused: Refused, now: datetime) -> Scheduled:
    """What was taken to be sent, and was not."""
    # What is sent anew while the network reviews it has been held before, and nothing else has a reason by then.
    is_put_off = refused.retry_delay is not None and not refused.held
    if refused.held or (is_put_off and taken.refusal):
        # Told once, however often it is looked at.
        reason, revision = taken.refusal or refused.reason, taken.revision + (not taken.refusal)
        state = step(taken.state, Step.HOLD)
        return replace(taken, state=state, refusal=reason, revision=revision, due_at=now + HELD_LOOK)
    if refused.retry_delay is not None and taken.attempts + 1 < MAX_ATTEMPTS:
        delay = max(refused.retry_delay, min(FIRST_RETRY * 2**taken.attempts, MAX_RETRY))
        state = step(taken.state, Step.PUT_OFF)
        return replace(taken, state=state, attempts=taken.attempts + 1, due_at=now + delay)
    state, revision = step(taken.state, Step.REFUSE), taken.revision + 1
    return replace(taken, state=state, refusal=refused.reason, revision=revision, due_at=now + REFUSED_KEPT)


def is_to_be_sent(taken: Scheduled) -> bool:
    """Whether what is due is to be sent; else it is to be forgotten."""
    return taken.state is ScheduledState.SENDING


def keeps_files_until(scheduled: Scheduled) -> datetime:
    """How long its files wait for a message."""
    return scheduled.send_at + MAX_AHEAD + REFUSED_KEPT


# Decides on what stands under a key, and on whether its message was sent. None: it stays as it is.
Decide = Callable[[Scheduled | None, bool], Scheduled | None]
