"""A publisher's clocks, as its sender reports tie them together (RFC 3550 section 6.4.1): what was captured when.

Receivers play sound and picture of one person together by these. The publisher's NTP time is turned into the worker's,
by one offset for all its streams, so that the differences between them stay and round trips can be told from the same
reports.
"""

from typing import Final, NamedTuple

# A publisher's clock that is further from what it was is another one: it was set anew. Raising it follows that later;
# lowering it takes a report that stood in a queue for one.
MAX_STEP_S: Final = 10.0
_SECOND: Final = 1 << 32
_MASK: Final = (1 << 64) - 1
_HALF: Final = 1 << 63


def _difference(ntp: int, other: int) -> int:
    """From one 64-bit NTP time to another, the nearer way round."""
    return ((other - ntp + _HALF) & _MASK) - _HALF


class RtpClock(NamedTuple):
    """A moment in 64-bit NTP time, and the RTP timestamp that stands for it."""

    ntp: int
    timestamp: int

    def timestamp_at(self, ntp: int, clock_rate: int) -> int:
        """What stands for a moment."""
        return (self.timestamp + (_difference(self.ntp, ntp) * clock_rate >> 32)) & 0xFFFFFFFF

    def ntp_at(self, timestamp: int, clock_rate: int) -> int:
        """The moment that a timestamp stands for."""
        return (self.ntp + timestamp_difference(self.timestamp, timestamp) * _SECOND // clock_rate) & _MASK


def timestamp_difference(timestamp: int, other: int) -> int:
    """From one RTP timestamp to another, the nearer way round."""
    return ((other - timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class PublisherClock:
    """One publisher's NTP clock beside the worker's. All its streams are turned by the offset of the moment, so that it
    never shifts one against another."""

    def __init__(self) -> None:
        self._offset: int | None = None

    def note_report(self, ntp: int, arrived: int) -> None:
        """A sender report with the publisher's time `ntp` came at `arrived`. The quickest was on its way the least."""
        offset, held = _difference(ntp, arrived), self._offset
        if held is None or offset < held or offset - held > MAX_STEP_S * _SECOND:
            self._offset = offset

    def to_worker(self, clock: RtpClock) -> RtpClock:
        """A clock of the publisher's in the worker's time."""
        return RtpClock((clock.ntp + (self._offset or 0)) & _MASK, clock.timestamp)
