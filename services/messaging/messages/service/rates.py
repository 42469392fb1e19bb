"""How fast one person may write."""

from services.messaging.kernel.errors import SendRate
from services.messaging.kernel.model import UserId
from services.runtime.limits.token_buckets import Rates


class SendRates:
    """`per_s` sends a second for each person (texts, edits, reactions, new groups), with `burst` at once after a pause.

    Times are monotonic seconds. Of `people` people; who is forgotten when there are more says limits.py.
    A person has a second bucket of the same size for looks: a request that is refused is looked for, since it may be
    the retry of one that was taken, and whoever is refused all the time is not to make work without end.
    """

    def __init__(self, per_s: float = 200, burst: int = 400, people: int = 100_000) -> None:
        self._sends = Rates(per_s, burst, people)
        self._looks = Rates(per_s, burst, people)

    def take(self, user_id: UserId, now_s: float) -> None:
        """Count one send. Raises SendRate, with the time after which it would be taken, and counts nothing then."""
        if delay_s := self._sends.take(user_id, now_s):
            raise SendRate(delay_s)

    def look(self, user_id: UserId, now_s: float) -> None:
        """Count one look for the result of an earlier request. Raises SendRate as `take` does."""
        if delay_s := self._looks.take(user_id, now_s):
            raise SendRate(delay_s)
