"""The way down to one receiver: what was sent, what it bears, and what is sent extra to find out."""

from collections import deque
from collections.abc import Sequence
from math import sqrt
from typing import Protocol

from services.sfu.core.estimator import HIGH_LOSS, LOWEST_BPS, BandwidthEstimator
from services.sfu.core.probing import Prober
from services.sfu.core.stats import RateMeter
from services.sfu.core.transport_cc import SendHistory, Sent, parse_feedback

# Loss is judged over this time. Higher: later. Lower: chance decides.
LOSS_WINDOW_S = 2.0
# Standard deviations above the highest loss that is borne. Higher: later. Lower: chance lowers the picture.
DOUBT = 2.0
# A packet that no feedback told of for this long, beyond the round trip, means that the way is full: feedback comes each
# 50 to 250 ms. Higher: a fall of the rate that takes the feedback with it is seen later. Lower: a client that was busy
# loses its picture.
SILENCE_S = 0.4
# What is kept of what was given out while there is silence. Higher: it may still be too much. Lower: a poor picture
# after each silence.
SILENT_SHARE = 0.25
# Feedback with more loss than this does not end the silence.
MAX_LOSS = 0.25
# No probe so soon after a queue was seen. Higher: a better picture comes late. Lower: probes go into that queue and fail.
CALM_S = 1.0
# Of the round trip, no more than this is taken for the path's own: the rest is the queue that silence is about.
_LONGEST_ROUND_TRIP_S = 0.3
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
        self._silent_bps: float | None = None
        self._silent_at = -1.0
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
        return self._silent_bps is not None or self.estimator.has_queue

    def estimate_bps(self, now: float) -> float:
        """What may be sent."""
        bps = self.estimator.estimate_bps(now)
        return bps if self._silent_bps is None else min(bps, self._silent_bps)

    def fall_silent(self, now: float) -> bool:
        """Whether feedback has just stayed away for too long, once more."""
        since = self.history.waiting_since
        if since is None or not self.estimator.has_feedback:
            return False
        if now - max(since, self._silent_at) < self._longest_silence_s:
            return False
        self._silent_at = now
        self._silent_bps = max(SILENT_SHARE * min(self.allocated_bps, self.estimate_bps(now)), LOWEST_BPS)
        return True

    @property
    def _longest_silence_s(self) -> float:
        return SILENCE_S + min(self.round_trip_s or _FIRST_ROUND_TRIP_S, _LONGEST_ROUND_TRIP_S)

    def handle_feedback(self, fci: bytes, now: float) -> None:
        """Transport-wide feedback; what does not add up means nothing."""
        feedback = parse_feedback(fci)
        if feedback is None or not self.estimator.has_feedback:
            return
        packets = self.history.resolve(feedback)
        round_trip_s = self.round_trip_s or _FIRST_ROUND_TRIP_S
        follows = self._next_base is not None and (feedback.base - self._next_base) & 0xFFFF in (0, 0xFFFF)
        self._next_base = feedback.base + len(feedback.arrivals)
        self._prober.add_results(packets)
        self.estimator.handle_feedback(packets, round_trip_s, now, follows=follows)
        if self._silent_bps is not None and self._is_well(packets, now):
            self._silent_bps = None
        rate_bps = self._prober.take_result(round_trip_s, self.estimator.overused_at, now)
        if rate_bps is not None:
            self.estimator.handle_probe(rate_bps)

    def _is_well(self, packets: Sequence[Sent], now: float) -> bool:
        """Whether feedback says that what came before it was no fall of the rate, or is over."""
        since = self.history.waiting_since
        if not packets or self.estimator.has_queue or (since is not None and now - since >= self._longest_silence_s):
            return False
        return sum(arrived_at is None for _, arrived_at, _ in packets) <= MAX_LOSS * len(packets)

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
        if not self.estimator.has_feedback or self.is_full or now - self.estimator.overused_at < CALM_S:
            return 0
        return self._prober.poll(self.needed_bps, self.estimate_bps(now), self.sent_bytes, now)
