"""What the state table is made of: handlers of inputs, their rows, and what a row does in each state."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Generic, TypeVar

from services.signaling.core.errors import CallEnded, CallNotFound, CallsError, NotGroupCall
from services.signaling.core.model import Call, CallState, EndReason, Timeouts

# The type of the input. A change or row for several types of input serves each of them.
InputT = TypeVar("InputT", contravariant=True)


@dataclass(frozen=True)
class Timing:
    """The time of an input, and how long a call waits."""

    now: datetime
    timeouts: Timeouts

    @property
    def media_deadline(self) -> datetime:
        """When media that is missing from now on ends the leg."""
        return self.now + timedelta(seconds=self.timeouts.media_lost_s)

    def closed_deadline(self, since: datetime) -> datetime:
        """When a device that is closed since then ends the leg."""
        return since + timedelta(seconds=min(self.timeouts.device_closed_s, self.timeouts.media_lost_s))


# Whether a row is the one for an input.
Condition = Callable[[Call, InputT, datetime], bool]


@dataclass(frozen=True)
class Change(Generic[InputT]):
    """What happens to the call's own data, and how the page of the table says it."""

    text: str
    apply: Callable[[Call, InputT, Timing], Call]


def change(text: str) -> Callable[[Callable[[Call, InputT, Timing], Call]], Change[InputT]]:
    """Makes a function a change."""
    return lambda apply: Change(text, apply)


class Effect(Enum):
    """What the shell carries out: PUBLISH in the same transaction, the others after it."""

    PUBLISH = "publish"
    CLOSE_MEDIA = "close media"
    REMOVE_MEDIA = "end media of devices that are out"
    CLOSE_FORMER = "close media on the former worker"


@dataclass(frozen=True)
class Rule(Generic[InputT]):
    """The new state, what changes on the way there, and what the shell does."""

    state: CallState
    changes: tuple[Change[InputT], ...] = ()
    effects: tuple[Effect, ...] = ()
    end_reason: EndReason | None = None


Refusal = type[CallsError]
Outcome = Rule[InputT] | Refusal


@dataclass(frozen=True)
class TableRow(Generic[InputT]):
    """A row of the table: an input, told apart by who gave it and by what it would leave behind."""

    text: str
    ringing: Outcome[InputT]
    active: Outcome[InputT]
    ended: Outcome[InputT]

    def outcome(self, state: CallState) -> Outcome[InputT]:
        """What the row says for a call in this state."""
        return {CallState.RINGING: self.ringing, CallState.ACTIVE: self.active, CallState.ENDED: self.ended}[state]


@dataclass(frozen=True)
class Handler(Generic[InputT]):
    """Every row for one type of input: the first whose condition holds, or `otherwise`."""

    cases: tuple[tuple[Condition[InputT], TableRow[InputT]], ...]
    otherwise: TableRow[InputT]

    @property
    def rows(self) -> tuple[TableRow[InputT], ...]:
        """All of them, in order."""
        return (*(row for _, row in self.cases), self.otherwise)

    def find(self, call: Call, given: InputT, now: datetime) -> TableRow[InputT]:
        """The row for this input."""
        return next((row for holds, row in self.cases if holds(call, given, now)), self.otherwise)


R, A, E = CallState.RINGING, CallState.ACTIVE, CallState.ENDED
STAY_RINGING: Rule[object] = Rule(R)
STAY_ACTIVE: Rule[object] = Rule(A)
STAY_ENDED: Rule[object] = Rule(E)


def end(reason: EndReason, *changes: Change[InputT]) -> Rule[InputT]:
    """The call ends."""
    return Rule(E, changes, (Effect.PUBLISH, Effect.CLOSE_MEDIA), end_reason=reason)


def nothing(text: str) -> TableRow[object]:
    """A row that changes nothing."""
    return TableRow(text, STAY_RINGING, STAY_ACTIVE, STAY_ENDED)


def never(text: str, refusal: Refusal) -> TableRow[object]:
    """A row that is refused in each state."""
    return TableRow(text, refusal, refusal, refusal)


def until_ended(text: str, refusal: Refusal) -> TableRow[object]:
    """A row that is refused, with another reason once the call has ended."""
    return TableRow(text, refusal, refusal, CallEnded)


def both(
    text: str, changes: tuple[Change[InputT], ...], effects: tuple[Effect, ...], ended: Outcome[InputT]
) -> TableRow[InputT]:
    """A row that does the same in a ringing call and in an active one."""
    return TableRow(text, Rule(R, changes, effects), Rule(A, changes, effects), ended)


def end_all(text: str, *changes: Change[InputT]) -> TableRow[InputT]:
    """A row that ends the call, whatever its state."""
    return TableRow(text, end(EndReason.CANCELLED, *changes), end(EndReason.HUNG_UP, *changes), STAY_ENDED)


# What several handlers have.
TELL = (Effect.PUBLISH,)
TELL_AND_REMOVE = (Effect.PUBLISH, Effect.REMOVE_MEDIA)
NON_MEMBER = never("somebody who is not part of the call does anything", CallNotFound)
GROUP_ONLY = never("one-to-one: join, or what only admins of groups do", NotGroupCall)
