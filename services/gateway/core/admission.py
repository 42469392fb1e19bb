"""Who is let in now and who is to come later. `now` is monotonic seconds; `chance` is a random number from 0 to 1."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.gateway.core.errors import TooManyStreams, TypingTooOften

# No device is sent away for longer. Higher: a larger herd is spread thinner. Lower: devices come back too early, again.
MAX_RETRY_S = 60.0
# Users whose pace is remembered. Higher: more memory. Lower: the quickest of more users are forgiven.
PACE_LIMIT = 50_000


class StreamAdmission:
    """A token bucket for new streams. Whoever is refused is told to come when those refused before will have come."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._refused = 0.0
        self._at = 0.0

    def admit(self, now: float, chance: float) -> None:
        """Let a stream in. Raises TooManyStreams."""
        gained = max(0.0, now - self._at) * self._per_s
        self._at = now
        self._tokens = min(self._burst, self._tokens + gained)
        self._refused = max(0.0, self._refused - gained)
        if self._tokens >= 1:
            self._tokens -= 1
            return
        self._refused += 1
        delay_s = min(self._refused / self._per_s, MAX_RETRY_S) * (1 + chance / 2)
        raise TooManyStreams("too many devices come at once", delay_s)


class TypingPace:
    """How often one user may say that they type: `per_s` in the long run, `burst` at once (GCRA, one number a user)."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._interval_s = 1 / per_s
        self._slack_s = (burst - 1) / per_s
        self._due: OrderedDict[str, float] = OrderedDict()

    def admit(self, user_id: str, now: float) -> None:
        """Let a notice pass. Raises TypingTooOften."""
        due = max(self._due.get(user_id, now), now)
        if due - now > self._slack_s:
            raise TypingTooOften("typing was said too often", due - now - self._slack_s)
        self._due[user_id] = due + self._interval_s
        self._due.move_to_end(user_id)
        if len(self._due) > PACE_LIMIT:
            self._due.popitem(last=False)


@dataclass(frozen=True)
class Leave:
    """When a stream ends, seconds from now, and how long its device is to stay away after that."""

    after_s: float
    retry_delay_s: float


def spread_leaving(
    session_ids: Sequence[int], spread_s: float, within_s: float, chances: Iterable[float]
) -> list[tuple[float, int, Leave]]:
    """A drain: the devices reconnect evenly over `spread_s`, and all streams have ended after `within_s`.

    Until its moment a device goes on reading here; whose moment comes after the end waits without a stream. Gives
    (after_s, session, its leave), the earliest first.
    """
    count = len(session_ids)
    plan = []
    for index, (session_id, chance) in enumerate(zip(session_ids, chances, strict=False)):
        moment = spread_s * (index + chance) / count
        plan.append((min(moment, within_s), session_id, Leave(min(moment, within_s), max(0.0, moment - within_s))))
    return plan
