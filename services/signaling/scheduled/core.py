"""What a scheduled call is, who may do what with it, and what its time brings."""

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from services.signaling.core.model import CallId, ConversationId, LinkId, ScheduledId, UserId

MAX_TITLE_CHARS = 100
MIN_LENGTH_S = 300
MAX_LENGTH_S = 86_400
MIN_REMINDER_S = 60
MAX_REMINDER_S = 604_800
# How far ahead a call may be planned. Raising it keeps rows for longer that nobody remembers; lowering it refuses what
# happens once a year.
MAX_AHEAD = timedelta(days=366)
# How long a call waits for somebody to come is how long it was to take, within these bounds. Raising them leaves a call
# in the list that nobody wants; lowering them ends one before those who are late.
MIN_WAIT = timedelta(minutes=15)
MAX_WAIT = timedelta(hours=4)
# How often it is looked whether the call of a scheduled one still runs. Its end is told at once; this is for what a
# replica of the release before ended. Raising it shows such a one for longer; lowering it costs queries.
LOOK_AGAIN = timedelta(hours=1)
# Planned by one person, and in one conversation, and not over. Raising them makes longer lists; lowering them refuses
# who plans a term ahead.
MAX_OF_MAKER = 100
MAX_OF_CONVERSATION = 50
# People outside who wait for the time. Raising it lets a link that was posted somewhere fill the lobby at once;
# lowering it turns people away who come early.
MAX_WAITING = 32

# Controls, breaks of lines, halves of characters.
_UNFIT = frozenset({"Cc", "Zl", "Zp", "Cs"})
# What turns the direction of reading for what follows.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset({"Zs", "Cf", "Mn"})


class State(Enum):
    """Where it stands. The values stand in the database."""

    PLANNED = "planned"
    # Its time has come.
    OPEN = "open"
    ENDED = "ended"
    # Nobody came.
    UNATTENDED = "unattended"
    CANCELLED = "cancelled"


OVER = frozenset({State.ENDED, State.UNATTENDED, State.CANCELLED})


class Answer(Enum):
    """Whether somebody comes. The values stand in the database."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


class Notice(Enum):
    """Why people are told of it, beside that it changed."""

    REMINDER = "reminder"
    BEGINS = "begins"


class Due(Enum):
    """What its time brings."""

    NOTHING = "nothing"
    REMIND = "remind"
    BEGIN = "begin"
    # Look whether it is over.
    LOOK = "look"


@dataclass(frozen=True)
class Draft:
    """What somebody wants to plan."""

    title: str
    video: bool
    start_time: datetime
    length_s: int
    # 0: nobody is reminded.
    reminder_s: int


@dataclass(frozen=True)
class ScheduledCall:
    """A call that was planned. `version` rises by one with each change. The maker is empty when that account was
    deleted."""

    scheduled_id: ScheduledId
    conversation_id: ConversationId
    maker_id: UserId
    draft: Draft
    group: bool
    create_time: datetime
    state: State = State.PLANNED
    was_reminded: bool = False
    # Of a group, from its time on.
    call_id: CallId | None = None
    answers: Mapping[UserId, Answer] = field(default_factory=dict)
    end_time: datetime | None = None
    # When the sweep looks at it next; None when it is over.
    due_time: datetime | None = None
    version: int = 1

    @property
    def is_over(self) -> bool:
        """Nothing becomes of it any more."""
        return self.state in OVER

    @property
    def wait_end(self) -> datetime:
        """Until when somebody must have come."""
        return self.draft.start_time + min(max(timedelta(seconds=self.draft.length_s), MIN_WAIT), MAX_WAIT)


@dataclass(frozen=True)
class Waiting:
    """Somebody outside of the conversation who opened a link before the time."""

    user_id: UserId
    link_id: LinkId


def find_fault(draft: Draft, now: datetime) -> tuple[str, str] | None:
    """The field that cannot be so, and what is wrong with it. The title comes without spaces around it."""
    categories = [unicodedata.category(char) for char in draft.title]
    is_line = not _UNFIT & set(categories) and not _TURNING & set(draft.title)
    if len(draft.title) > MAX_TITLE_CHARS or not is_line or set(categories) <= _UNSEEN:
        return "title", f"is not 1 to {MAX_TITLE_CHARS} characters of one line, some of which can be seen"
    if not now < draft.start_time <= now + MAX_AHEAD:
        return "start_time", f"is not in the next {MAX_AHEAD.days} days"
    if not MIN_LENGTH_S <= draft.length_s <= MAX_LENGTH_S:
        return "length_s", f"is not {MIN_LENGTH_S} to {MAX_LENGTH_S}"
    if draft.reminder_s and not MIN_REMINDER_S <= draft.reminder_s <= MAX_REMINDER_S:
        return "reminder_s", f"is neither 0 nor {MIN_REMINDER_S} to {MAX_REMINDER_S}"
    return None


def may_lead(call: ScheduledCall, user_id: UserId, admins: Collection[UserId]) -> bool:
    """Whether somebody changes and cancels it; that they are in the conversation is known."""
    return user_id == call.maker_id or (call.group and user_id in admins)


def plan(call: ScheduledCall, now: datetime) -> ScheduledCall:
    """A new one, with its first time. A reminder whose time has passed by then is left out."""
    return _due_at_next(replace(call, was_reminded=_reminder_time(call.draft) <= now))


def change(call: ScheduledCall, draft: Draft, now: datetime) -> ScheduledCall:
    """With what was planned anew. When its times move, everybody is reminded again."""
    if draft == call.draft:
        return call
    moved = (draft.start_time, draft.reminder_s) != (call.draft.start_time, call.draft.reminder_s)
    changed = replace(call, draft=draft, version=call.version + 1)
    return plan(changed, now) if moved else changed


def answer(call: ScheduledCall, user_id: UserId, said: Answer) -> ScheduledCall:
    """With what somebody said last."""
    if call.answers.get(user_id) is said:
        return call
    return replace(call, answers={**call.answers, user_id: said}, version=call.version + 1)


def due(call: ScheduledCall, now: datetime) -> Due:
    """What its time brings now. By what was planned, not by `due_time`: whoever claims it moves that."""
    if call.is_over:
        return Due.NOTHING
    if call.state is State.OPEN:
        return Due.LOOK if call.group or now >= call.wait_end else Due.NOTHING
    if now >= call.wait_end:
        # It could not be begun for so long.
        return Due.LOOK
    if now >= call.draft.start_time:
        return Due.BEGIN
    return Due.REMIND if _waits_for_reminder(call) and now >= _reminder_time(call.draft) else Due.NOTHING


def remind(call: ScheduledCall) -> ScheduledCall:
    """Once everybody is told."""
    return _due_at_next(replace(call, was_reminded=True, version=call.version + 1))


def begin(call: ScheduledCall, call_id: CallId | None) -> ScheduledCall:
    """Its time has come. `call_id`: of a group's call."""
    return replace(call, state=State.OPEN, call_id=call_id, due_time=call.wait_end, version=call.version + 1)


def end(call: ScheduledCall, state: State, now: datetime) -> ScheduledCall:
    """It is over."""
    return replace(call, state=state, due_time=None, end_time=now, version=call.version + 1)


def wait_on(call: ScheduledCall, now: datetime) -> ScheduledCall:
    """Its call still runs. Nobody is told, so that the version stays."""
    return replace(call, due_time=now + LOOK_AGAIN)


def due_again(call: ScheduledCall) -> ScheduledCall:
    """Due by what was planned. Nobody is told, so that the version stays."""
    return replace(call, due_time=call.wait_end) if call.state is State.OPEN else _due_at_next(call)


def recipients(call: ScheduledCall, members: Collection[UserId], notice: Notice | None) -> list[UserId]:
    """Whom a notice is for: not who said no."""
    if notice is None:
        return sorted(members)
    return sorted(user_id for user_id in members if call.answers.get(user_id) is not Answer.NO)


def _reminder_time(draft: Draft) -> datetime:
    return draft.start_time - timedelta(seconds=draft.reminder_s)


def _waits_for_reminder(call: ScheduledCall) -> bool:
    return call.draft.reminder_s > 0 and not call.was_reminded


def _due_at_next(call: ScheduledCall) -> ScheduledCall:
    return replace(call, due_time=_reminder_time(call.draft) if _waits_for_reminder(call) else call.draft.start_time)
