"""The way down to one receiver: what was sent, what it bears, and what is sent extra to find out."""

from collections import deque
from collections.abc import Sequence
from math import sqrt
from typing import Final, Protocol

from services.sfu.core.congestion.estimator import HIGH_LOSS, BandwidthEstimator
from services.sfu.core.congestion.feedback_timeout import FeedbackTimeout
from services.sfu.core.congestion.probing import Prober
from services.sfu.core.congestion.send_history import SendHistory, Sent
from services.sfu.core.congestion.stats import RateMeter
from services.sfu.core.wire.transport_cc import MAX_STATUSES, parse_feedback

# Loss is judged over this time. Raising it lowers the estimate later; lowering it lets chance decide.
LOSS_WINDOW_S: Final = 2.0
# Loss counts as congestion when it is this many standard deviations above the highest that is borne. Raising it lowers
# the estimate later; lowering it lets chance lower the picture.
LOSS_SIGMAS: Final = 2.0
# After a queue has lowered the estimate, loss is not judged for this time: reports speak of the last second or so, and
# that loss was answered already. Raising it sees loss before a short queue late; lowering it makes one fall of the rate
# lower the estimate twice.
LOSS_HOLDOFF_S: Final = 1.0
# No probe so soon after a queue was seen. Raising it brings a better picture late; lowering it sends probes into that
# queue.
PROBE_HOLDOFF_S: Final = 1.0
# Nor so soon after a slot got a larger layer, whose key frame is probe enough. Raising it brings a better picture late;
# lowering it adds a probe to the key frame.
LAYER_HOLDOFF_S: Final = 0.5
# The round trip before the first report says it.
_FIRST_ROUND_TRIP_S: Final = 0.1


class Sending(Protocol):
    """A stream on the path."""

    @property
    def bytes(self) -> int: ...


class DownlinkPath:
    """One receiver's path, all its slots together. Sizes are RTP packets, without SRTP, UDP and IP."""

    def __init__(self, has_transport_cc: bool) -> None:
        self.history = SendHistory()
        self.estimator = BandwidthEstimator()
        self.round_trip_s: float | None = None
        self.repair_bytes = 0
        # What counts the media sent on it.
        self.streams: Sequence[Sending] = ()
        # What the next better layer choice would take, all slots together; 0 when there is none to have.
        self.needed_bps = 0.0
        # What the best layer choices of all slots would take.
        self.best_bps = 0.0
        # What was allocated at the last selection of layers, and when that was.
        self.allocated_bps = 0.0
        self.selected_at = -1.0
        # When a slot got a larger layer, and until when the next one has to have more bandwidth.
        self.raised_at = self.cautious_until = -10.0
        self._feedback_timeout = FeedbackTimeout()
        self._next_base: int | None = None
        self._losses: deque[tuple[float, int, int]] = deque()
        self._prober = Prober()
        self._rate = RateMeter()
        if has_transport_cc:
            self.estimator.expect_feedback()

    @property
    def sent_bytes(self) -> int:
        """Media, repairs and probes so far."""
        return self.repair_bytes + sum(stream.bytes for stream in self.streams)

    @property
    def sent_bps(self) -> float:
        """What is being sent, repairs and probes included."""
        return self._rate.rate_bps

    @property
    def is_full(self) -> bool:
        """Whether what is sent now only makes a queue longer."""
        return self._feedback_timeout.limit_bps is not None or self.estimator.has_queue

    def estimate_bps(self, now: float) -> float:
        """What may be sent."""
        bps, limit_bps = self.estimator.estimate_bps(now), self._feedback_timeout.limit_bps
        return bps if limit_bps is None else min(bps, limit_bps)

    def check_feedback_timeout(self, now: float) -> bool:
        """Whether feedback has just stayed away for too long, once more; to be asked often."""
        since = self.history.waiting_since
        if since is None or self._next_base is None or self.estimator.knows_queue:
            # A receiver that never sent any may have none to send.
            return False
        return self._feedback_timeout.begin(since, self.allocated_bps, self.round_trip_s or _FIRST_ROUND_TRIP_S, now)

    def handle_feedback(self, fci: bytes, now: float, most: int = MAX_STATUSES) -> None:
        """Transport-wide feedback, of which `most` statuses are read; what does not add up means nothing."""
        feedback = parse_feedback(fci, most)
        if feedback is None or not self.estimator.has_feedback:
            return
        packets = self.history.resolve(feedback)
        round_trip_s = self.round_trip_s or _FIRST_ROUND_TRIP_S
        follows = self._next_base is not None and not 0 < (feedback.base - self._next_base) & 0xFFFF < 0x8000
        self._next_base = feedback.base + len(feedback.arrivals)
        self._prober.add_results(packets)
        probed = self._prober.may_have_queue(now)
        self.estimator.handle_feedback(packets, round_trip_s, now, follows=follows, probed=probed)
        if self._feedback_timeout.limit_bps is not None:
            self._feedback_timeout.note_feedback(follows)
            self._end_feedback_timeout(packets, round_trip_s, now)
        rate_bps = self._prober.take_result(round_trip_s, self.estimator.overused_at, now)
        if rate_bps is not None:
            self.estimator.handle_probe(rate_bps)

    def _end_feedback_timeout(self, packets: Sequence[Sent], round_trip_s: float, now: float) -> None:
        estimator = self.estimator
        loss = sum(arrived_at is None for _, arrived_at, _ in packets) / max(len(packets), 1)
        is_well = not estimator.has_queue and self._feedback_timeout.is_over(
            self.history.waiting_since, loss, round_trip_s, now
        )
        if estimator.knows_queue or is_well:
            limit_bps = self._feedback_timeout.end()
            if not estimator.knows_queue:
                estimator.resume(limit_bps)

    def handle_loss(self, expected: int, lost: int, now: float) -> None:
        """How many packets of video a receiver report speaks of, and how many of them were lost."""
        reports = self._losses
        if now - self.estimator.lowered_at < LOSS_HOLDOFF_S:
            reports.clear()
            return
        reports.append((now, expected, lost))
        while now - reports[0][0] > LOSS_WINDOW_S:
            reports.popleft()
        total = sum(expected for _, expected, _ in reports)
        if not total:
            return
        loss = sum(lost for _, _, lost in reports) / total
        if loss > HIGH_LOSS + LOSS_SIGMAS * sqrt(HIGH_LOSS * (1 - HIGH_LOSS) / total):
            reports.clear()
        else:
            # Of few packets many are lost by chance.
            loss = min(loss, HIGH_LOSS)
        self.estimator.handle_loss(loss, self.sent_bps, self.round_trip_s or _FIRST_ROUND_TRIP_S, now)

    def note_selection(self, allocated_bps: float, needed_bps: float, now: float, best_bps: float = 0.0) -> None:
        """Layers were selected anew."""
        self.allocated_bps, self.needed_bps, self.best_bps, self.selected_at = allocated_bps, needed_bps, best_bps, now
        self._rate.add_total(self.sent_bytes, now)

    def poll_probe(self, now: float) -> int:
        """Bytes to send extra at this tick."""
        if not self.estimator.has_feedback or self.is_full:
            return 0
        if now - self.estimator.overused_at < PROBE_HOLDOFF_S or now - self.raised_at < LAYER_HOLDOFF_S:
            return 0
        return self._prober.poll(self.needed_bps, self.best_bps, self.estimate_bps(now), self.sent_bytes, now)
