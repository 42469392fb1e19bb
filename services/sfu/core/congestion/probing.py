"""Trying whether a path bears more than is sent on it: a short while at the rate of the next better layer choice.

What is sent extra is old packets again (as RFC 4588 repairs) or padding, so a lost probe costs nobody anything.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from services.sfu.core.congestion.send_history import Sent

# How long a probe lasts. Raising it is surer; lowering it makes a shorter queue where the path does not bear it.
PROBE_S: Final = 0.2
# At low rates a probe lasts until this was sent: fewer than five packets say nothing. Raising it makes longer queues;
# lowering it never finds that a poor path has become better.
MIN_PROBE_BYTES: Final = 8000
# No further up than this many times the estimate; than the second after a failed probe, until one succeeds. Raising
# them reaches the top sooner; lowering them makes smaller queues.
MAX_STEP: Final = 2.0
CAREFUL_STEP: Final = 1.4
# Beyond what is needed, because a little less arrives than is sent.
OVERSHOOT: Final = 1.1
# After a probe that succeeded, and after one that failed; doubled with each failure in a row. Raising them brings a
# better picture late; lowering them makes the audio suffer more often.
PAUSE_S: Final = 0.2
FIRST_HOLD_S: Final = 2.0
MAX_HOLD_S: Final = 6.0
# A probe that arrived at less than this share of its rate has failed, but has shown what the path bears. Raising it
# lets a little noise end the way up; lowering it tries a full path again and again.
REACHED: Final = 0.85
# The queue of a probe may show for this long after its end. Raising it takes the media's own queue for it; lowering it
# makes a probe that fails cost the picture.
PROBE_QUEUE_GRACE_S: Final = 0.6
# A probe with more loss than this has failed.
MAX_LOSS: Final = 0.1
# Its result is awaited this long beyond the round trip, unless there is feedback of what was sent after it.
RESULT_WAIT_S: Final = 0.4


class _State(Enum):
    IDLE = auto()
    SENDING = auto()
    AWAITING = auto()


class Prober:
    """The probes of one receiver."""

    def __init__(self) -> None:
        self._state = _State.IDLE
        self._target_bps = 0.0
        self._began = self._ends = 0.0
        self._not_before = 0.0
        self._hold_s = FIRST_HOLD_S
        self._is_rising = self._has_later_feedback = False
        self._sent_before = 0
        self._results: list[Sent] = []

    def poll(self, needed_bps: float, best_bps: float, estimate_bps: float, sent_bytes: int, now: float) -> int:
        """Bytes to send extra now. `needed_bps`: what the next better layer choice takes, 0 for none; `best_bps`: what
        the best ones take; `sent_bytes` so far.

        To be called at each tick.
        """
        if self._state is _State.IDLE and needed_bps > estimate_bps and now >= self._not_before:
            step = CAREFUL_STEP if self._hold_s > FIRST_HOLD_S else MAX_STEP
            goal_bps = max(best_bps, needed_bps) if self._is_rising else needed_bps
            self._begin(min(step * estimate_bps, OVERSHOOT * goal_bps), sent_bytes, now)
        if self._state is not _State.SENDING:
            return 0
        if now >= self._ends:
            self._state = _State.AWAITING
            self._ends = now
            return 0
        due = int(self._target_bps / 8 * (now - self._began + PROBE_S / 10))
        return max(due - (sent_bytes - self._sent_before), 0)

    def _begin(self, target_bps: float, sent_bytes: int, now: float) -> None:
        self._state = _State.SENDING
        self._target_bps = target_bps
        self._began, self._ends = now, now + max(PROBE_S, MIN_PROBE_BYTES * 8 / target_bps)
        self._sent_before = sent_bytes
        self._has_later_feedback = False
        self._results.clear()

    def may_have_queue(self, now: float) -> bool:
        """Whether a queue may be that of a probe."""
        return self._state is not _State.IDLE or now < self._ends + PROBE_QUEUE_GRACE_S

    def add_results(self, packets: Sequence[Sent]) -> None:
        """What the feedback says; packets of the probe are picked by the time they were sent."""
        if self._state is not _State.IDLE:
            self._results += [packet for packet in packets if self._began <= packet[0] <= self._ends]
            self._has_later_feedback = bool(packets) and packets[-1][0] > self._ends

    def take_result(self, round_trip_s: float, overused_at: float, now: float) -> float | None:
        """The rate that arrived, once, when a probe showed what the path bears; None otherwise."""
        if self._state is _State.IDLE:
            return None
        if overused_at >= self._began:
            self._fail(now)
            return None
        is_due = self._has_later_feedback or now >= self._ends + round_trip_s + RESULT_WAIT_S
        if self._state is _State.SENDING or not is_due:
            return None
        rate, has_reached = _arrived_rate(self._results)
        if not has_reached and (rate is None or rate < REACHED * self._target_bps):
            self._fail(now)
            return rate
        self._state = _State.IDLE
        self._hold_s = FIRST_HOLD_S
        self._not_before = now + PAUSE_S
        # The path has become better: how much is found out faster than layer by layer.
        self._is_rising = True
        return rate

    def _fail(self, now: float) -> None:
        self._state = _State.IDLE
        self._not_before = now + self._hold_s
        self._is_rising = False
        self._hold_s = min(2 * self._hold_s, MAX_HOLD_S)


def _arrived_rate(packets: Sequence[Sent]) -> tuple[float | None, bool]:
    """The lesser of the rates of sending and of arrival, None when too little came to tell; and whether it arrived
    about as fast as it was sent."""
    arrived = [(sent_at, arrived_at, size) for sent_at, arrived_at, size in packets if arrived_at is not None]
    if len(arrived) < 5 or len(arrived) < (1 - MAX_LOSS) * len(packets):
        return None, False
    times = [arrived_at for _, arrived_at, _ in arrived]
    arriving_s, sending_s = max(times) - min(times), arrived[-1][0] - arrived[0][0]
    span_s = max(arriving_s, sending_s)
    if span_s <= 0:
        return None, False
    return sum(size for _, _, size in arrived[1:]) * 8 / span_s, sending_s >= REACHED * arriving_s
