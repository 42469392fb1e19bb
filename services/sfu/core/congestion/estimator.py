"""How much may be sent to a receiver: the rate control of draft-ietf-rmcat-gcc-02, sections 5.5 and 6.

The least of three limits counts: by delay (overuse.py and queue_delay.py, from transport-wide feedback), by loss
(receiver reports), and the receiver's own REMB where it gives one.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from services.sfu.core.congestion.overuse import OveruseDetector, Usage
from services.sfu.core.congestion.queue_delay import QueueDelayDetector
from services.sfu.core.congestion.send_history import Sent

# What is sent before the first feedback. Raising it gives a good picture at once where the path bears it; lowering it
# avoids stutter at the start where it does not.
START_BPS: Final = 800_000.0
# Below the least nobody can talk; above the most is no call's need.
LOWEST_BPS: Final = 100_000.0
HIGHEST_BPS: Final = 30_000_000.0
# Section 5.5: the share of the rate that arrived that is kept when the queue grows. Raising it lets queues stay;
# lowering it makes sawteeth.
BETA: Final = 0.85
# Section 5.5: growth a second far from the last limit. Raising it finds free bandwidth sooner; lowering it overshoots
# less.
GROWTH_PER_S: Final = 1.08
# An estimate does not outgrow what was ever tried: no further than this above what arrives (section 5.5).
MAX_OVER_ACKED: Final = 1.5
EXTRA_OVER_ACKED_BPS: Final = 10_000.0
# What arrived is measured over this time. Raising it sees changes later; lowering it takes key frames for the rate.
ACKED_WINDOW_S: Final = 0.5
# Section 6: more loss than the first lowers, less than the second raises.
HIGH_LOSS: Final = 0.10
LOW_LOSS: Final = 0.02
LOSS_GROWTH: Final = 1.08
LOSS_INTERVAL_S: Final = 0.3
# How long a receiver's own estimate counts. Raising it holds an old limit; lowering it forgets the limit between two of
# them.
REMB_LIFE_S: Final = 5.0
_PACKET_BITS: Final = 1200 * 8


class BandwidthEstimator:
    """One receiver's path. Times in seconds, rates in bits per second.

    Without transport-wide feedback there is no delay to judge: then REMB and loss alone count, and without both
    everything is allowed.
    """

    def __init__(self) -> None:
        self._detector = OveruseDetector()
        self._queue = QueueDelayDetector()
        self._delay_bps: float | None = None
        self._loss_bps = HIGHEST_BPS
        self._remb: tuple[float, float] | None = None
        self._acked: deque[tuple[float, int]] = deque()
        self._acked_bytes = 0
        self._acked_bps: float | None = None
        self._near_limit: float | None = None
        self._updated_at = self._loss_at = -1.0
        # When a queue was seen last, and when the estimate was lowered because of one.
        self.overused_at = self.lowered_at = -10.0

    @property
    def has_feedback(self) -> bool:
        """Whether the delay is known."""
        return self._delay_bps is not None

    @property
    def has_queue(self) -> bool:
        """Whether packets wait before the receiver, by the last feedback."""
        return self._queue.has_queue

    @property
    def knows_queue(self) -> bool:
        """Whether packets wait, and the estimate is no more than the rate at which they leave."""
        return self._queue.rate_bps is not None

    def estimate_bps(self, now: float) -> float:
        """What may be sent now."""
        limits = [self._loss_bps, HIGHEST_BPS]
        if self._delay_bps is not None:
            limits.append(self._delay_bps)
        if self._remb is not None and now - self._remb[0] < REMB_LIFE_S:
            limits.append(self._remb[1])
        return max(min(limits), LOWEST_BPS)

    def expect_feedback(self, start_bps: float = START_BPS) -> None:
        """The delay is going to be known: start here, for the first feedback to raise or lower."""
        if self._delay_bps is None:
            self._delay_bps = start_bps

    def resume(self, limit_bps: float | None) -> None:
        """After a feedback timeout: judge the delay anew, starting from no more than this."""
        self._detector.reset()
        if limit_bps is not None and self._delay_bps is not None:
            self._delay_bps = min(self._delay_bps, max(limit_bps, LOWEST_BPS))

    def handle_remb(self, bitrate_bps: float, now: float) -> None:
        """The receiver's own estimate."""
        self._remb = (now, bitrate_bps)

    def handle_feedback(
        self, packets: Sequence[Sent], round_trip_s: float, now: float, *, follows: bool = True, probed: bool = False
    ) -> None:
        """Take in what one feedback says, in the order of sending.

        `follows`: none is missing before it. `probed`: a growing queue may be that of a probe, which lowers nothing.
        """
        size, first, groups = _group(packets)
        if first is None:
            return
        over = False
        for sent_at, arrived_at in groups:
            self._detector.add_packet(sent_at, arrived_at)
            over = over or self._detector.usage is Usage.OVERUSE
        self._note_acked(max(arrived_at for _, arrived_at in groups), size)
        had_queue = self._queue.has_queue
        self._queue.add_feedback(first, groups[-1], size, follows)
        if had_queue and not self._queue.has_queue:
            # The trend goes on to tell of it for a while: what it would lower then is the small rate that emptied it.
            self._detector.reset()
            over = False
        usage = Usage.OVERUSE if over else self._detector.usage
        if self._queue.has_queue:
            self.overused_at = now
            self._lower_to_queue(now)
        if usage is Usage.OVERUSE:
            self.overused_at = now
            if not probed:
                self._lower(round_trip_s, now)
        elif usage is Usage.NORMAL and not self._queue.has_queue:
            self._raise(round_trip_s, now)
        self._updated_at = now

    def handle_loss(self, loss: float, sent_bps: float, round_trip_s: float, now: float) -> None:
        """Loss since the last report, 0 to 1, at what is being sent (section 6)."""
        if loss > HIGH_LOSS:
            if now - self._loss_at >= LOSS_INTERVAL_S + round_trip_s:
                self._loss_at = now
                current = min(self.estimate_bps(now), max(sent_bps, LOWEST_BPS))
                self._loss_bps = max(current * (1 - 0.5 * loss), LOWEST_BPS)
        elif loss < LOW_LOSS and now - self._loss_at >= LOSS_INTERVAL_S:
            self._loss_at = now
            self._loss_bps = min(self._loss_bps * LOSS_GROWTH, HIGHEST_BPS)

    def handle_probe(self, rate_bps: float) -> None:
        """A probe arrived at this rate without a queue."""
        if self._delay_bps is not None:
            self._delay_bps = min(max(self._delay_bps, 0.95 * rate_bps), HIGHEST_BPS)
        self._loss_bps = max(self._loss_bps, 0.95 * rate_bps)

    def _note_acked(self, arrived_at: float, size: int) -> None:
        acked = self._acked
        if acked and arrived_at < acked[-1][0] - ACKED_WINDOW_S:
            acked.clear()
            self._acked_bytes = 0
        acked.append((arrived_at, size))
        self._acked_bytes += size
        while len(acked) > 1 and acked[0][0] < arrived_at - ACKED_WINDOW_S:
            self._acked_bytes -= acked.popleft()[1]
        span = arrived_at - acked[0][0]
        if span >= ACKED_WINDOW_S / 2:
            # The first entry stands for the time before the span.
            self._acked_bps = (self._acked_bytes - acked[0][1]) * 8 / span

    def _lower(self, round_trip_s: float, now: float) -> None:
        assert self._delay_bps is not None
        if now - self.lowered_at < min(max(round_trip_s, 0.1), 0.3):
            return
        # What leaves a queue is the path's rate. What arrived is less of it, where feedback was lost.
        acked = self._queue.rate_bps or self._acked_bps or self._delay_bps
        if self._near_limit is not None and acked > 1.5 * self._near_limit:
            self._near_limit = None
        self._near_limit = acked if self._near_limit is None else 0.95 * self._near_limit + 0.05 * acked
        self._delay_bps = max(min(BETA * acked, self._delay_bps), LOWEST_BPS)
        self.lowered_at = now

    def _lower_to_queue(self, now: float) -> None:
        assert self._delay_bps is not None
        rate_bps = self._queue.rate_bps
        if rate_bps is not None and BETA * rate_bps < self._delay_bps:
            self._near_limit = rate_bps
            self._delay_bps = max(BETA * rate_bps, LOWEST_BPS)
            self.lowered_at = now

    def _raise(self, round_trip_s: float, now: float) -> None:
        assert self._delay_bps is not None
        elapsed = min(now - self._updated_at, 1.0) if self._updated_at >= 0 else 0.0
        current = self._delay_bps
        near = self._near_limit is not None and abs(current - self._near_limit) < 0.15 * self._near_limit
        step = elapsed * _PACKET_BITS / (round_trip_s + 0.1)
        grown = current + step if near else current * GROWTH_PER_S**elapsed
        if self._near_limit is not None and grown > 1.3 * self._near_limit:
            self._near_limit = None
        if self._acked_bps is not None:
            ceiling = MAX_OVER_ACKED * self._acked_bps + EXTRA_OVER_ACKED_BPS
            grown = min(grown, max(ceiling, current))
        self._delay_bps = min(grown, HIGHEST_BPS)


def _group(
    packets: Sequence[Sent],
) -> tuple[int, tuple[float, float, int] | None, list[tuple[float, float]]]:
    """Bytes that arrived, the first packet that did, and one (sent, last arrival) for the packets that were sent at the
    same instant."""
    size = 0
    first: tuple[float, float, int] | None = None
    groups: list[tuple[float, float]] = []
    group_sent = group_arrived = -1.0
    for sent_at, arrived_at, packet_size in packets:
        if arrived_at is None:
            continue
        size += packet_size
        if sent_at != group_sent:
            if first is None:
                first = sent_at, arrived_at, packet_size
            else:
                groups.append((group_sent, group_arrived))
            group_sent, group_arrived = sent_at, arrived_at
        elif arrived_at > group_arrived:
            group_arrived = arrived_at
    if first is not None:
        groups.append((group_sent, group_arrived))
    return size, first, groups
