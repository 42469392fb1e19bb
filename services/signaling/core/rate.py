"""What limits new calls: how often one person may place them, or be rung by strangers, and for how many people.

A stranger is somebody in whose conversation the person never was in a call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.signaling.core.errors import CallRate


@dataclass(frozen=True)
class RatePolicy:
    """How many calls in a window."""

    # Calls that one person may place in the window. Raising it lets a stolen account ring more people; lowering it
    # refuses people who misdial a lot.
    max_calls: int = 20
    # How often one person is rung in the window before strangers are refused. Raising it lets many accounts together
    # ring somebody all the time; lowering it keeps other strangers away sooner.
    max_rings: int = 10
    window_s: float = 60.0

    def begin(self, now: datetime) -> datetime:
        """Calls since then count."""
        return now - timedelta(seconds=self.window_s)


@dataclass(frozen=True)
class StartPolicy:
    """What a new call may be."""

    # People in a group's call at once. Raising it puts more load on one worker; lowering it refuses people.
    group_capacity: int = 32
    rate: RatePolicy = field(default_factory=RatePolicy)


def check_rate(placed: Sequence[datetime], now: datetime, policy: RatePolicy) -> None:
    """Raises CallRate, with the time until there is room again. `placed`: the caller's calls, the newest first."""
    counted = [at for at in placed if at > policy.begin(now)]
    if len(counted) < policy.max_calls:
        return
    free_at = counted[policy.max_calls - 1] + timedelta(seconds=policy.window_s)
    raise CallRate(max((free_at - now).total_seconds(), 0.001))
