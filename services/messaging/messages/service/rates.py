"""Whether and how fast one person may write."""

from collections.abc import Callable

from services.messaging.kernel.errors import SendRate
from services.messaging.kernel.model import UserId
from services.runtime.limits.token_buckets import Rates

# Raises AccountRestricted for whom moderation lets write nothing.
MayWrite = Callable[[UserId], None]


def anybody(_: UserId) -> None:
    """Nobody is restricted."""


class SendRates:
    """`per_s` sends a second for each person (what is said, edits, reactions, votes, pins, new groups), with `burst`
    at once after a pause.

    Times are monotonic seconds. So many `people` are remembered; runtime/limits/token_buckets.py says who is forgotten
    when there are more. Whom `may_write` refuses writes nothing of it.
    A person has a second bucket of the same size for looks: a request that is refused is looked for, since it may be
    the retry of one that was taken, and whoever is refused all the time is not to make work without end.
    """

    def __init__(
        self, per_s: float = 200, burst: int = 400, people: int = 100_000, may_write: MayWrite = anybody
    ) -> None:
        self.require_may_write = may_write
        self._sends = Rates(per_s, burst, people)
        self._looks = Rates(per_s, burst, people)

    def take(self, user_id: UserId, now_s: float) -> None:
        """Count one send. Raises SendRate, with the time after which it would be taken, and AccountRestricted, and
        counts nothing then."""
        self.require_may_write(user_id)
        if delay_s := self._sends.take(user_id, now_s):
            raise SendRate(delay_s)

    def look(self, user_id: UserId, now_s: float) -> None:
        """Count one look for the result of an earlier request. Raises SendRate as `take` does."""
        if delay_s := self._looks.take(user_id, now_s):
            raise SendRate(delay_s)
