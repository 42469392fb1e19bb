"""Is the queue before a receiver growing? The arrival-time filter of draft-ietf-rmcat-gcc-02, sections 5.1 to 5.4.

Packets that were sent in one burst form a group. The trend of the delay variation between groups, by a least-squares
line over the last of them (in place of the draft's Kalman filter; "Analysis and Design of the Google Congestion
Control for WebRTC", Carlucci et al., 2016), is compared with a threshold that adapts to the path's jitter.
"""

from collections import deque
from enum import Enum, auto
from typing import Final

# Packets sent within this time of their group's first belong to it (section 5.2).
BURST_S: Final = 0.005
MAX_BURST_S: Final = 0.1
# Groups under the line. Raising it is steadier; lowering it sees a queue sooner.
WINDOW: Final = 20
# The line's sums are made anew when their origin is this far back, which is more than the points can span, with gaps of
# 3 s. Raising it is less exact; lowering it costs more work.
MAX_SPAN_MS: Final = 120_000.0
# Weight of the past in the smoothed delay. Raising it is steadier; lowering it sees a queue sooner.
SMOOTHING: Final = 0.9
# From a slope to the threshold's milliseconds. Raising it sees overuse sooner, and where there is none; lowering it
# sees it later.
GAIN: Final = 4.0
MAX_DELTAS: Final = 60
# The threshold's start, bounds and pace (section 5.4, table 1). Raising K_DOWN makes it more sensitive after a calm
# time; lowering it keeps the threshold high for longer.
FIRST_THRESHOLD_MS: Final = 12.5
LOWEST_THRESHOLD_MS: Final = 6.0
HIGHEST_THRESHOLD_MS: Final = 600.0
K_UP: Final = 0.0087
K_DOWN: Final = 0.039
# A spike further over the threshold than this does not move it (section 5.4).
MAX_ADAPT_OFFSET_MS: Final = 15.0
# Overuse must last this long (section 5.4).
OVERUSE_MS: Final = 10.0


class Usage(Enum):
    """What the delay says of the path."""

    NORMAL = auto()
    OVERUSE = auto()
    UNDERUSE = auto()


class OveruseDetector:
    """Fed with packets in the order they were sent; all times in seconds, of either end's own clock."""

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self._group_first_sent: float | None = None
        self._group_sent = self._group_arrived = self._group_first_arrived = 0.0
        self._former: tuple[float, float] | None = None
        self._deltas = 0
        self._accumulated_ms = self._smoothed_ms = 0.0
        self._line = _TrendLine()
        self._trend = 0.0
        self._threshold_ms = FIRST_THRESHOLD_MS
        self._over_ms: float | None = None
        self._over_count = 0
        self._updated_at: float | None = None

    def add_packet(self, sent_at: float, arrived_at: float) -> None:
        """Take in a packet; `usage` is up to date afterwards."""
        first = self._group_first_sent
        if first is None:
            self._begin_group(sent_at, arrived_at)
        elif sent_at >= first and not self._belongs(sent_at, arrived_at, first):
            if self._former is not None:
                self._handle_group(self._former)
            self._former = (self._group_sent, self._group_arrived)
            self._begin_group(sent_at, arrived_at)
        elif sent_at >= first:
            self._group_sent = max(self._group_sent, sent_at)
            self._group_arrived = max(self._group_arrived, arrived_at)

    def reset(self) -> None:
        """Forget the trend."""
        self._line.clear()
        self._deltas, self._accumulated_ms, self._smoothed_ms, self._trend = 0, 0.0, 0.0, 0.0
        self._over_ms, self._over_count = None, 0
        self.usage = Usage.NORMAL

    def _begin_group(self, sent_at: float, arrived_at: float) -> None:
        self._group_first_sent = self._group_sent = sent_at
        self._group_first_arrived = self._group_arrived = arrived_at

    def _belongs(self, sent_at: float, arrived_at: float, first: float) -> bool:
        if sent_at - first <= BURST_S:
            return True
        # Packets that piled up somewhere and arrive at once say nothing one by one (section 5.2).
        gap = arrived_at - self._group_arrived
        caught_up = gap - (sent_at - self._group_sent) < 0
        return caught_up and gap <= BURST_S and arrived_at - self._group_first_arrived < MAX_BURST_S

    def _handle_group(self, former: tuple[float, float]) -> None:
        sent_delta_ms = (self._group_sent - former[0]) * 1000
        arrived_delta_ms = (self._group_arrived - former[1]) * 1000
        if arrived_delta_ms > 3000 or arrived_delta_ms < -3000:
            # A clock that jumped, or a path that was away: begin anew.
            self.reset()
            return
        self._deltas = min(self._deltas + 1, 1000)
        self._accumulated_ms += arrived_delta_ms - sent_delta_ms
        self._smoothed_ms = SMOOTHING * self._smoothed_ms + (1 - SMOOTHING) * self._accumulated_ms
        self._line.add_point(self._group_arrived * 1000, self._smoothed_ms)
        slope = self._line.slope()
        self._detect(self._trend if slope is None else slope, sent_delta_ms, self._group_arrived * 1000)

    def _detect(self, trend: float, sent_delta_ms: float, now_ms: float) -> None:
        if self._deltas < 2:
            return
        offset_ms = min(self._deltas, MAX_DELTAS) * trend * GAIN
        if offset_ms > self._threshold_ms:
            self._over_ms = sent_delta_ms / 2 if self._over_ms is None else self._over_ms + sent_delta_ms
            self._over_count += 1
            if self._over_ms > OVERUSE_MS and self._over_count > 1 and trend >= self._trend:
                self._over_ms, self._over_count = 0.0, 0
                self.usage = Usage.OVERUSE
        else:
            self._over_ms, self._over_count = None, 0
            self.usage = Usage.UNDERUSE if offset_ms < -self._threshold_ms else Usage.NORMAL
        self._trend = trend
        self._adapt(abs(offset_ms), now_ms)

    def _adapt(self, offset_ms: float, now_ms: float) -> None:
        elapsed_ms = 0.0 if self._updated_at is None else min(max(now_ms - self._updated_at, 0.0), 100.0)
        self._updated_at = now_ms
        if offset_ms > self._threshold_ms + MAX_ADAPT_OFFSET_MS:
            return
        pace = K_DOWN if offset_ms < self._threshold_ms else K_UP
        threshold = self._threshold_ms + pace * (offset_ms - self._threshold_ms) * elapsed_ms
        self._threshold_ms = min(max(threshold, LOWEST_THRESHOLD_MS), HIGHEST_THRESHOLD_MS)


class _TrendLine:
    """The least-squares line through the last points, by running sums; `x` in milliseconds, not falling much."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()
        self._origin = 0.0
        self._x = self._y = self._xy = self._xx = 0.0

    def clear(self) -> None:
        self._points.clear()
        self._x = self._y = self._xy = self._xx = 0.0

    def add_point(self, x: float, y: float) -> None:
        points = self._points
        if not points:
            self._origin = x
        elif len(points) == WINDOW:
            self._count(*points.popleft(), -1)
        points.append((x, y))
        self._count(x, y, 1)
        if x - self._origin > MAX_SPAN_MS:
            # Sums of large numbers would lose the small ones.
            kept = list(points)
            self.clear()
            for point in kept:
                self.add_point(*point)

    def _count(self, x: float, y: float, sign: int) -> None:
        x -= self._origin
        self._x += sign * x
        self._y += sign * y
        self._xy += sign * x * y
        self._xx += sign * x * x

    def slope(self) -> float | None:
        """None before there are enough points."""
        count = len(self._points)
        if count < WINDOW:
            return None
        spread = count * self._xx - self._x * self._x
        return (count * self._xy - self._x * self._y) / spread if spread > 0 else 0.0
