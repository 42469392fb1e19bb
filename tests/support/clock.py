"""A clock that tests turn by hand."""

import time
from datetime import UTC, datetime, timedelta


class ManualClock:
    """See services.runtime.clock.Clock. Time passes only by `advance`."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._elapsed_s += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock, forward or back: no time passes."""
        self._now += timedelta(seconds=seconds)


class HostClock:
    """A host's running clock whose wall time is wrong by `off_s`, which a test may change: the wall clock is set."""

    def __init__(self, off_s: float = 0.0) -> None:
        self.off_s = off_s

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.off_s)

    def monotonic(self) -> float:
        return time.monotonic()
