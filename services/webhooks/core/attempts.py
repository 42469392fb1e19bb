"""What follows from an endpoint's answer: done, once more and when, or given up."""

from dataclasses import dataclass
from enum import Enum

from services.runtime.backoff import backoff_s, bounded_pause_s

GONE, TOO_MANY_REQUESTS, UNAVAILABLE = 410, 429, 503


class Outcome(Enum):
    """What an answer means."""

    DELIVERED = "delivered"
    # The receiver refuses this one: its other keys are not concerned.
    REFUSED = "refused"
    # The endpoint does not answer, or not in time, or says that it cannot now: all that waits for it is concerned.
    UNAVAILABLE = "unavailable"
    # The same, and it asks to be left alone for a while.
    BUSY = "busy"
    # It wants nothing any more.
    GONE = "gone"


@dataclass(frozen=True)
class Answer:
    """What came back of an attempt: the status is None when nothing did."""

    status: int | None
    retry_after_s: float | None = None


@dataclass(frozen=True)
class RetryPolicy:
    """How long a delivery is tried."""

    # What has waited for longer is given up at its next failure.
    give_up_after_s: float
    # The longest wait between two attempts.
    most_backoff_s: float


@dataclass(frozen=True)
class Retry:
    """Once more, after a while; meanwhile the key's later events wait too."""

    delay_s: float


class GiveUp:
    """It is a dead letter; the key's next event has its turn."""


def outcome(answer: Answer) -> Outcome:
    """What an answer means. Redirections are not followed: the configuration says where to send."""
    status = answer.status
    if status is None:
        return Outcome.UNAVAILABLE
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status == GONE:
        return Outcome.GONE
    if status == TOO_MANY_REQUESTS or (status == UNAVAILABLE and answer.retry_after_s is not None):
        return Outcome.BUSY
    return Outcome.UNAVAILABLE if status >= 500 else Outcome.REFUSED


def after_failure(answer: Answer, attempts: int, waited_s: float, policy: RetryPolicy, chance: float) -> Retry | GiveUp:
    """What becomes of a delivery that failed for the `attempts`-th time, after it has waited for so long.

    For an endpoint that is gone nothing is given up: somebody may enable it again.
    """
    if waited_s >= policy.give_up_after_s and outcome(answer) is not Outcome.GONE:
        return GiveUp()
    return Retry(max(backoff_s(attempts, policy.most_backoff_s, chance), pause_s(answer)))


def pause_s(answer: Answer) -> float:
    """How long the whole endpoint is to be left alone."""
    return bounded_pause_s(answer.retry_after_s) if outcome(answer) is Outcome.BUSY else 0.0
