"""What the spatial layers of one stream take, each with all that it needs (SVC); told by decode targets."""

from typing import Final

from services.sfu.core.congestion.stats import RateMeter
from services.sfu.core.wire.dependency_descriptor import MAX_SPATIAL, Frame

# A pair of layers as one number.
_WIDTH: Final = 8


class TargetRates:
    """Of one stream, from its first descriptor on."""

    def __init__(self, frame: Frame) -> None:
        self.structure = frame.structure
        self.active = frame.active
        # The best target that is sent.
        self.top = frame.structure.find_top(frame.active)
        # Whether frames come that the best target does not need, as in K-SVC the lower layers between key frames.
        self.has_others = False
        self.last_at: list[float | None] = [None] * MAX_SPATIAL
        # By spatial layer, from when all of it came last; what it will take again after a pause.
        self.known: dict[int, tuple[float, ...]] = {}
        self._bytes: dict[int, int] = {}
        self._meters: dict[int, RateMeter] = {}

    def add_frame(self, frame: Frame, size: int, now: float) -> None:
        """Count a packet for each target that needs it."""
        structure = frame.structure
        if structure is not self.structure or frame.active != self.active:
            self.structure, self.active = structure, frame.active
            self.top, self.has_others = structure.find_top(frame.active), False
        self.last_at[frame.spatial] = now
        indications, totals = frame.indications, self._bytes
        for target in structure.targets:
            if indications >> target.shift & 3:
                pair = target.spatial * _WIDTH + target.temporal
                totals[pair] = totals.get(pair, 0) + size
        if not indications >> self.top.shift & 3:
            self.has_others = True

    def rates_of(self, spatial: int, now: float) -> tuple[float, ...]:
        """In bit/s: what the lowest temporal layer takes with all that it needs, and what each next one adds."""
        rates: list[float] = []
        for target in self.structure.targets:
            if target.spatial == spatial:
                pair = target.spatial * _WIDTH + target.temporal
                meter = self._meters.get(pair)
                if meter is None:
                    meter = self._meters[pair] = RateMeter()
                meter.add_total(self._bytes.get(pair, 0), now)
                rates.append(max(meter.rate_bps - sum(rates), 0.0))
        return tuple(rates)

    def is_active(self, spatial: int) -> bool:
        """Whether the publisher says that it sends the layer."""
        return any(target.spatial == spatial and self.active & target.bit for target in self.structure.targets)

    def height_of(self, spatial: int) -> int:
        """In pixels, of a layer or of the highest; 0 when it was not told."""
        heights = self.structure.heights
        return heights[min(spatial, len(heights) - 1)] if heights else 0
