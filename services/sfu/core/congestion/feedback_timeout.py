"""What missing feedback says of a path: after a great fall of the rate it waits in a queue, or is lost."""

from typing import Final

from services.sfu.core.congestion.estimator import LOWEST_BPS

# When no feedback told of a packet for this long, beyond the round trip, the path is taken to be full: feedback comes
# every 50 to 250 ms. Raising it sees a fall of the rate later; lowering it costs a client that was busy its picture.
FEEDBACK_TIMEOUT_S: Final = 0.4
# Feedback ends the timeout when no packet waits for longer than this, beyond the round trip: else it was sent before
# the fall, or waited itself. Raising it fills a full path again; lowering it means that slow feedback never ends a
# timeout.
RECOVERED_S: Final = 0.2
# The share of what was sent that is kept at each timeout. Raising it may still send too much; lowering it leaves a poor
# picture after each timeout.
TIMEOUT_SHARE: Final = 0.25
# What may be sent at once after feedback was lost, in parts of what was kept. Raising it fills the path again; lowering
# it leaves the rest to probes.
SHARE_AFTER_LOSS: Final = 2.0
# Feedback with more loss than this does not end a timeout.
MAX_LOSS: Final = 0.25
# No more of the round trip than this is taken for the path's own: the rest is the queue that the timeout is about.
_LONGEST_ROUND_TRIP_S: Final = 0.3


class FeedbackTimeout:
    """The feedback timeout of one receiver. `limit_bps` is what may be sent meanwhile, None while feedback comes.

    `waiting_since` is when the first packet was sent that no feedback told of, None when there is no such packet.
    """

    def __init__(self) -> None:
        self.limit_bps: float | None = None
        self._limited_at = -1.0
        self._lost_feedback = False

    def begin(self, waiting_since: float | None, sent_bps: float, round_trip_s: float, now: float) -> bool:
        """Whether it has just lasted too long, for the first time or once more; then the limit is a new one."""
        if waiting_since is None:
            return False
        if now - max(waiting_since, self._limited_at) < FEEDBACK_TIMEOUT_S + min(round_trip_s, _LONGEST_ROUND_TRIP_S):
            return False
        if self.limit_bps is not None:
            sent_bps = min(sent_bps, self.limit_bps)
        self._limited_at = now
        self.limit_bps = max(TIMEOUT_SHARE * sent_bps, LOWEST_BPS)
        return True

    def note_feedback(self, follows: bool) -> None:
        """Feedback came. `follows`: none is missing before it."""
        self._lost_feedback = self._lost_feedback or not follows

    def is_over(self, waiting_since: float | None, loss: float, round_trip_s: float, now: float) -> bool:
        """Whether feedback with this loss, 0 to 1, ends it."""
        waited_s = now - waiting_since if waiting_since is not None else 0.0
        return waited_s < RECOVERED_S + min(round_trip_s, _LONGEST_ROUND_TRIP_S) and loss <= MAX_LOSS

    def end(self) -> float | None:
        """It is over. Gives what the estimate must not be above now: what was lost on the way back was lost to a full
        path; nothing, when no feedback was lost."""
        limit_bps, self.limit_bps = self.limit_bps, None
        lost_feedback, self._lost_feedback = self._lost_feedback, False
        return limit_bps * SHARE_AFTER_LOSS if limit_bps is not None and lost_feedback else None
