"""What follows from a provider's answer: done, once more and when, or given up."""

from dataclasses import dataclass
from enum import Enum

from services.runtime.backoff import backoff_s, bounded_pause_s

# The longest wait. Raising it makes fewer attempts; lowering it notices sooner that a provider is back.
MAX_BACKOFF_S = 900.0


class Outcome(Enum):
    """What an answer means."""

    SENT = "sent"
    # The token reaches nothing any more: it is removed.
    GONE = "gone"
    # This one is never taken.
    REFUSED = "refused"
    # No answer, not in time, an error of the provider's, or one of our credentials: whatever it is may pass.
    UNAVAILABLE = "unavailable"
    # The same, and it asks to be left alone for a while.
    BUSY = "busy"


@dataclass(frozen=True)
class Answer:
    """What came of an attempt. `status`: HTTP; 0 when nothing came back."""

    outcome: Outcome
    status: int = 0
    # The provider's word for it, of a list; for logs.
    reason: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Retry:
    """Once more, after a while."""

    delay_s: float


class GiveUp:
    """It is a dead letter: an operator may have it sent again."""


class RemoveToken:
    """Nothing is sent to it any more."""


class Done:
    """The device was told."""


Step = Done | Retry | GiveUp | RemoveToken


def next_step(answer: Answer, attempts: int, waited_s: float, give_up_after_s: float, chance: float) -> Step:
    """What follows the `attempts`-th attempt (1 and more) at what has waited for so long. `chance`, of [0, 1), spreads
    what failed together."""
    match answer.outcome:
        case Outcome.SENT:
            return Done()
        case Outcome.GONE:
            return RemoveToken()
        case Outcome.REFUSED:
            return GiveUp()
        case _:
            if waited_s >= give_up_after_s:
                return GiveUp()
            return Retry(max(backoff_s(attempts, MAX_BACKOFF_S, chance), pause_s(answer)))


def pause_s(answer: Answer) -> float:
    """How long the provider is to be left alone, for all tokens."""
    return bounded_pause_s(answer.retry_after_s) if answer.outcome is Outcome.BUSY else 0.0


def outcome_of(status: int, *, gone: frozenset[int] = frozenset({404, 410})) -> Outcome:
    """What a status means where the provider's body says no more. Redirections are not followed."""
    if 200 <= status < 300:
        return Outcome.SENT
    if status in gone:
        return Outcome.GONE
    if status == 429:
        return Outcome.BUSY
    # 401 and 403: our credentials, which an operator mends. 408: it waited for us.
    if status in (0, 401, 403, 408) or status >= 500:
        return Outcome.UNAVAILABLE
    return Outcome.REFUSED
