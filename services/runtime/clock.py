"""Where shells get the time from. Cores never read a clock: they are given `now`."""

import time
from datetime import UTC, datetime
from typing import Protocol

# How far another host's clock may be from ours, either way: tokens are taken so much early and so much late, here and
# at the edge. Raising it lets an expired token serve longer; lowering it refuses people whose issuer is a bit ahead.
CLOCK_SKEW_S = 10


class Clock(Protocol):
    """A source of time, so that tests can turn it by hand."""

    def now(self) -> datetime:
        """The wall-clock time, in UTC. It may be set, either way: for what is stored and shown, not for durations."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never goes back."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
