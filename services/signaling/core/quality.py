"""How good the media of a call was: reports of some seconds, added up for each participant."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from services.signaling.core.model import CallId, DeviceId, UserId, WorkerId

# The largest figure of one interval. Raising it lets a false figure distort the sums more; lowering it throws away what
# a busy device measured.
MAX_FIGURE = 1e12
# The longest interval. Intervals take some seconds; a worker that stalled reports longer ones. Raising it lets a false
# interval distort the sums more; lowering it throws away what a stalled worker measured.
MAX_INTERVAL_S = 3_600.0


class Direction(Enum):
    """From the client to the SFU, and back."""

    UPLINK = "uplink"
    DOWNLINK = "downlink"


@dataclass(frozen=True)
class QualityKey:
    """One device's media on one worker."""

    call_id: CallId
    user_id: UserId
    device_id: DeviceId
    worker_id: WorkerId


@dataclass(frozen=True)
class DirectionTotals:
    """One direction's sums over intervals. `jitter_ms_s`, `rtt_ms_s`: milliseconds weighted by seconds;
    `rtt_s`: the seconds in which the round trip was known."""

    duration_s: float = 0.0
    packets: int = 0
    bytes: int = 0
    lost: float = 0.0
    jitter_ms_s: float = 0.0
    max_jitter_ms: float = 0.0
    rtt_ms_s: float = 0.0
    rtt_s: float = 0.0
    max_rtt_ms: float = 0.0

    def __add__(self, other: "DirectionTotals") -> "DirectionTotals":
        """Both together."""
        return DirectionTotals(
            self.duration_s + other.duration_s,
            self.packets + other.packets,
            self.bytes + other.bytes,
            self.lost + other.lost,
            self.jitter_ms_s + other.jitter_ms_s,
            max(self.max_jitter_ms, other.max_jitter_ms),
            self.rtt_ms_s + other.rtt_ms_s,
            self.rtt_s + other.rtt_s,
            max(self.max_rtt_ms, other.max_rtt_ms),
        )

    @property
    def loss_ratio(self) -> float:
        """0 to 1 of the packets expected."""
        return self.lost / (self.packets + self.lost) if self.packets + self.lost else 0.0

    @property
    def jitter_ms(self) -> float:
        """The mean of the intervals."""
        return self.jitter_ms_s / self.duration_s if self.duration_s else 0.0

    @property
    def rtt_ms(self) -> float:
        """The mean of the intervals in which it was known; 0 when it never was."""
        return self.rtt_ms_s / self.rtt_s if self.rtt_s else 0.0


@dataclass(frozen=True)
class QualityReport:
    """One interval of one device, as its worker measured it."""

    key: QualityKey
    report_time: datetime
    legs: dict[Direction, DirectionTotals]


@dataclass(frozen=True)
class UserQuality:
    """One participant's media over the whole call."""

    user_id: UserId
    uplink: DirectionTotals = DirectionTotals()
    downlink: DirectionTotals = DirectionTotals()


def interval(
    duration_s: float, packets: int, size: int, loss_ratio: float, jitter_ms: float, rtt_ms: float
) -> DirectionTotals:
    """One interval of one direction. `rtt_ms` 0 means not known; a loss of all packets counts as one lost."""
    lost = 1.0 if loss_ratio >= 1 else packets * loss_ratio / (1 - loss_ratio)
    rtt_s = duration_s if rtt_ms > 0 else 0.0
    jitter_ms_s, rtt_ms_s = jitter_ms * duration_s, rtt_ms * rtt_s
    return DirectionTotals(duration_s, packets, size, lost, jitter_ms_s, jitter_ms, rtt_ms_s, rtt_s, rtt_ms)


def is_plausible(totals: DirectionTotals) -> bool:
    """Whether somebody may have measured this in one interval. What is out of bounds would stay in the sums."""
    figures = (value for value in vars(totals).values())
    return all(0 <= value <= MAX_FIGURE for value in figures) and totals.duration_s <= MAX_INTERVAL_S


def sum_up(parts: Iterable[tuple[UserId, Direction, DirectionTotals]]) -> list[UserQuality]:
    """All devices and workers of each participant together, by user."""
    users: dict[UserId, UserQuality] = {}
    for user_id, direction, totals in parts:
        known = users.get(user_id, UserQuality(user_id))
        if direction is Direction.UPLINK:
            users[user_id] = replace(known, uplink=known.uplink + totals)
        else:
            users[user_id] = replace(known, downlink=known.downlink + totals)
    return [users[user_id] for user_id in sorted(users)]
