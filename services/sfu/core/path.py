"""The way down to one receiver: what was sent, what it bears, and what is sent extra to find out."""

from collections import deque
from collections.abc import Sequence
from math import sqrt
from typing import Protocol

from services.sfu.core.estimator import HIGH_LOSS, BandwidthEstimator
from services.sfu.core.probing import Prober
from services.sfu.core.stats import RateMeter
from services.sfu.core.transport_cc import SendHistory, parse_feedback

# Loss is judged over this time. Higher: later. Lower: chance decides.
LOSS_WINDOW_S = 2.0
# Standard deviations above the highest loss that is borne. Higher: later. Lower: chance lowers the picture.
DOUBT = 2.0
# The round trip before the first report says it.
_FIRST_ROUND_TRIP_S = 0.1


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
        # What the next better picture would take, all slots together; 0 when there is none to have.
        self.needed_bps = 0.0
        # What was given out at the last aiming, and when that was.
        self.allocated_bps = 0.0
        self.aimed_at = -1.0
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

    def estimate_bps(self, now: float) -> float:
        """What may be sent."""
        return self.estimator.estimate_bps(now)

    def handle_feedback(self, fci: bytes, now: float) -> None:
        """Transport-wide feedback; what does not add up means nothing."""
        feedback = parse_feedback(fci)
        if feedback is None or not self.estimator.has_feedback:
            return
        packets = self.history.resolve(feedback)
        round_trip_s = self.round_trip_s or _FIRST_ROUND_TRIP_S
        self._prober.add_results(packets)
        self.estimator.handle_feedback(packets, round_trip_s, now)
        rate_bps = self._prober.take_result(round_trip_s, self.estimator.overused_at, now)
        if rate_bps is not None:
            self.estimator.handle_probe(rate_bps)

    def handle_loss(self, expected: int, lost: int, now: float) -> None:
        """How many packets of video a receiver report speaks of, and how many of them were lost."""
        reports = self._losses
        reports.append((now, expected, lost))
        while now - reports[0][0] > LOSS_WINDOW_S:
            reports.popleft()
        total = sum(expected for _, expected, _ in reports)
        if not total:
            return
        loss = sum(lost for _, _, lost in reports) / total
        if loss > HIGH_LOSS + DOUBT * sqrt(HIGH_LOSS * (1 - HIGH_LOSS) / total):
            reports.clear()
        else:
            # Of few packets many are lost by chance.
            loss = min(loss, HIGH_LOSS)
        self.estimator.handle_loss(loss, self.sent_bps, self.round_trip_s or _FIRST_ROUND_TRIP_S, now)

    def note_aimed(self, allocated_bps: float, needed_bps: float, now: float) -> None:
        """The slots were aimed anew."""
        self.allocated_bps, self.needed_bps, self.aimed_at = allocated_bps, needed_bps, now
        self._rate.add_total(self.sent_bytes, now)

    def poll_probe(self, now: float) -> int:
        """Bytes to send extra at this tick."""
        if not self.estimator.has_feedback:
            return 0
        return self._prober.poll(self.needed_bps, self.estimate_bps(now), self.sent_bytes, now)
