"""Figures of rounds, and the report of several. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

# The stack's names of processes, as the report has them.
PROCESSES = {
    "messaging": "messaging",
    "presence": "presence",
    "gateway": "gateway",
    "edge": "envoy",
    "postgres": "postgres",
    "broker": "broker",
}
CLIENT = "client"
# Where there is one.
HOOK = "hook"
SUMMED = ("lost", "duplicated", "reordered")
MEDIANS = (
    *("send_to_deliver_ms", "throughput", "group256_last_ms"),
    *("paced_cpu_s_per_1000", "cpu_s_per_1000", "ratio_to_database"),
)
# Of rounds with a hook.
HOOK_MS = "hook_ms"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed (nearest rank); 0.0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def percentiles(values: Sequence[float], shares: Sequence[int]) -> dict[str, float]:
    """By name, such as p99."""
    return {f"p{share}": round(percentile(values, share / 100), 2) for share in shares}


def per_1000(used_s: dict[str, float], messages: int) -> dict[str, float]:
    """CPU seconds per 1000 messages."""
    return {name: round(seconds / max(messages, 1) * 1000, 3) for name, seconds in used_s.items()}


def summarize(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The medians of the rounds' figures, and the sums of what must be 0."""
    names = [*MEDIANS, *([HOOK_MS] if HOOK_MS in rounds[0] else [])]
    report = {name: median([one[name] for one in rounds]) for name in names}
    return {**report, **{name: sum(one[name] for one in rounds) for name in SUMMED}}


def median(values: Sequence[Any]) -> Any:
    """Of numbers; of dicts, of each of their values."""
    if isinstance(values[0], dict):
        return {key: median([value[key] for value in values]) for key in values[0]}
    return round(statistics.median(values), 3)
