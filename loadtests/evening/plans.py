"""How large each scenario is, and what the stack is told for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtests.evening.flood import FloodPlan
from loadtests.evening.herd import HerdPlan
from loadtests.evening.hot_group import HotGroupPlan
from loadtests.evening.night import NightPlan
from loadtests.evening.slow import SlowPlan
from loadtests.evening.watchers import WatchersPlan

PLANS: Mapping[str, Any] = {
    "evening": NightPlan(),
    "reconnect-herd": HerdPlan(),
    "hot-group": HotGroupPlan(),
    "celebrity": WatchersPlan(),
    "slow-consumers": SlowPlan(),
    "flood": FloodPlan(),
}
# Of a search, in which each run is on a new stack.
LIMIT = NightPlan(warm_up_s=120.0, steady_s=300.0)
# Small enough for a machine that does other things.
QUICK: Mapping[str, Any] = {
    "evening": NightPlan(people=20, pace=20.0, warm_up_s=15.0, steady_s=45.0),
    "reconnect-herd": HerdPlan(devices=20),
    "hot-group": HotGroupPlan(members=16, rounds=2),
    "celebrity": WatchersPlan(watchers=20, flips=4),
    "slow-consumers": SlowPlan(slow=3, healthy=3, messages=500),
    "flood": FloodPlan(pairs=4, rate=10.0, part_s=8.0),
}
# Everybody is at one address, and in a hurry where the pace is above 1: limits of their own tests stand aside.
_ENVIRONMENT = {"PARLEY_CALLS_PER_MINUTE": "10000", "PARLEY_STRANGER_RINGS_PER_MINUTE": "10000"}


def environment_of(scenario: str) -> Mapping[str, str]:
    """What the stack's processes find in their environment. A flood meets all limits as they are."""
    return {} if scenario == "flood" else _ENVIRONMENT
