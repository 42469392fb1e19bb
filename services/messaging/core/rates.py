"""How fast one person may write: a token bucket each, in bounded memory."""

from collections import OrderedDict

from services.messaging.core.errors import SendRate
from services.messaging.core.model import UserId


class SendRates:
    """`per_s` sends a second for each person (texts, edits, reactions, new groups), with `burst` at once after a pause.

    Times are monotonic seconds.
    Of at most `people` people: of more, those who wrote least recently begin with a full bucket again, which a person
    has after burst / per_s seconds of silence anyway.
    A person has a second bucket of the same size for looks: a request that is refused is looked for, since it may be
    the retry of one that was taken, and whoever is refused all the time is not to make work without end.
    """

    def __init__(self, per_s: float = 200, burst: int = 400, people: int = 100_000) -> None:
        self._gap_s = 1 / per_s
        self._slack_s = (burst - 1) / per_s
        self._people = people
        # When the next send of each would be due if they came at an even pace (GCRA, ITU-T I.371).
        self._due_s: OrderedDict[UserId, float] = OrderedDict()
        self._look_due_s: OrderedDict[UserId, float] = OrderedDict()

    def take(self, user_id: UserId, now_s: float) -> None:
        """Count one send. Raises SendRate, with the time after which it would be taken, and counts nothing then."""
        self._take(self._due_s, user_id, now_s)

    def look(self, user_id: UserId, now_s: float) -> None:
        """Count one look for the result of an earlier request. Raises SendRate as `take` does."""
        self._take(self._look_due_s, user_id, now_s)

    def _take(self, bucket: OrderedDict[UserId, float], user_id: UserId, now_s: float) -> None:
        due_s = max(bucket.get(user_id, now_s), now_s)
        if due_s - now_s > self._slack_s:
            raise SendRate(due_s - now_s - self._slack_s)
        bucket[user_id] = due_s + self._gap_s
        bucket.move_to_end(user_id)
        if len(bucket) > self._people:
            bucket.popitem(last=False)
