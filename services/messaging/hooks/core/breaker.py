"""When a hook that does not answer is given up for a while, so that a dead one costs nobody the wait for it."""

from dataclasses import dataclass, replace
from enum import Enum

# Questions in a row, of one sender after another, for which somebody waited in vain. Raising it lets more senders wait
# for a dead hook; lowering it gives up one that only stumbled.
GIVE_UP_AFTER = 5
# How long nobody is asked then. Raising it leaves messages unjudged for longer after the hook is back; lowering it
# makes more senders wait for one that stays dead: one each time.
PAUSE_S = 5.0


class BreakerState(Enum):
    """CLOSED: everybody asks. OPEN: nobody does. TRYING: one asks, and its answer decides."""

    CLOSED = "closed"
    OPEN = "open"
    TRYING = "trying"


class Input(Enum):
    """What the breaker is told."""

    ANSWERED = "answered"
    # The time was over, or there was nobody. An answer that cannot be read costs no wait: it is an answer here.
    UNANSWERED = "unanswered"
    # Who asked went away before there was an answer: that says nothing of the hook.
    LEFT = "left"
    # Somebody wants to ask.
    WANTED = "wanted"


@dataclass(frozen=True)
class Breaker:
    """Times are monotonic seconds. `failures` in a row; no question is asked before `retry_at` while it is OPEN.

    Those of one sender in a row count once: whose messages a hook chokes on, slows nobody but themselves, and opens the
    way to nobody else's.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    retry_at: float = 0.0
    last_sender: str = ""

    @property
    def is_giving_up(self) -> bool:
        """Whether the hook is given up."""
        return self.state is not BreakerState.CLOSED


def _closed(_breaker: Breaker, _now: float, _sender: str) -> Breaker:
    return Breaker()


def _counted(breaker: Breaker, now: float, sender: str) -> Breaker:
    if breaker.failures and sender == breaker.last_sender:
        return breaker
    failures = breaker.failures + 1
    if failures >= GIVE_UP_AFTER:
        return _opened(breaker, now, sender)
    return replace(breaker, failures=failures, last_sender=sender)


def _opened(_breaker: Breaker, now: float, _sender: str) -> Breaker:
    return Breaker(BreakerState.OPEN, GIVE_UP_AFTER, now + PAUSE_S)


def _same(breaker: Breaker, _now: float, _sender: str) -> Breaker:
    return breaker


def _tried(breaker: Breaker, now: float, _sender: str) -> Breaker:
    return replace(breaker, state=BreakerState.TRYING) if now >= breaker.retry_at else breaker


def _again(breaker: Breaker, now: float, _sender: str) -> Breaker:
    """The one who tried went away: the next one tries."""
    return replace(breaker, state=BreakerState.OPEN, retry_at=now)


# Total. What was asked before the hook was given up may still be answered, or not, afterwards.
_TABLE = {
    (BreakerState.CLOSED, Input.ANSWERED): _closed,
    (BreakerState.CLOSED, Input.UNANSWERED): _counted,
    (BreakerState.CLOSED, Input.LEFT): _same,
    (BreakerState.CLOSED, Input.WANTED): _same,
    (BreakerState.OPEN, Input.ANSWERED): _closed,
    (BreakerState.OPEN, Input.UNANSWERED): _same,
    (BreakerState.OPEN, Input.LEFT): _same,
    (BreakerState.OPEN, Input.WANTED): _tried,
    (BreakerState.TRYING, Input.ANSWERED): _closed,
    (BreakerState.TRYING, Input.UNANSWERED): _opened,
    (BreakerState.TRYING, Input.LEFT): _again,
    (BreakerState.TRYING, Input.WANTED): _same,
}


def step(breaker: Breaker, happened: Input, now: float, sender: str) -> Breaker:
    """The breaker afterwards."""
    return _TABLE[breaker.state, happened](breaker, now, sender)


def may_ask(breaker: Breaker, now: float) -> bool:
    """Whether somebody who wants to ask may."""
    return breaker.state is BreakerState.CLOSED or (breaker.state is BreakerState.OPEN and now >= breaker.retry_at)
