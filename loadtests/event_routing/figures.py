"""What the runs come to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One number of replicas under the fixed traffic. Counters by process name; CPU in seconds over all replicas."""

    replicas: int
    events: int
    handled_by_presence: Mapping[str, int]
    frames_of_presence: Mapping[str, int]
    frames_by_gateway: Mapping[str, int]
    cpu_s: float
    # What the same processes, with the same devices and no traffic, use in the same time.
    idle_cpu_s: float
    lost: int
    duplicated: int

    @property
    def work_cpu_s(self) -> float:
        """The share of the traffic."""
        return self.cpu_s - self.idle_cpu_s


def scaling_error_percent(runs: Sequence[Run]) -> float:
    """How far the busiest or laziest replica of all runs is from its even share, presence and gateways alike."""
    return round(max(_error(counts, run) for run in runs for counts in _counts(run)), 1)


def growth_percent(first: float, last: float) -> float:
    """By how much the last is above the first."""
    return round(100 * (last / first - 1), 1)


def to_report(runs: Sequence[Run]) -> dict[str, object]:
    """The figures of `make load-routing`, without the fault."""
    first, last = runs[0], runs[-1]
    return {
        "events_per_replica": {str(run.replicas): _summary(run.handled_by_presence) for run in runs},
        "frames_per_gateway": {str(run.replicas): _summary(run.frames_by_gateway) for run in runs},
        # Handled by all replicas together, by what was sent: 1 without a broadcast, whatever the number of replicas.
        "handled_per_event": {
            str(run.replicas): round(_total(run.handled_by_presence) / run.events, 3) for run in runs
        },
        "frames_per_event": {str(run.replicas): round(_total(run.frames_of_presence) / run.events, 3) for run in runs},
        "scaling_error_percent": scaling_error_percent(runs),
        "total_cpu_growth_percent": growth_percent(first.work_cpu_s, last.work_cpu_s),
        "total_cpu_growth_percent_with_idle": growth_percent(first.cpu_s, last.cpu_s),
        "cpu_s": {str(run.replicas): round(run.cpu_s, 2) for run in runs},
        "idle_cpu_s": {str(run.replicas): round(run.idle_cpu_s, 2) for run in runs},
        "cpu_us_per_event": {str(run.replicas): round(1e6 * run.work_cpu_s / run.events) for run in runs},
        "lost": sum(run.lost for run in runs),
        "duplicated": sum(run.duplicated for run in runs),
    }


def _counts(run: Run) -> tuple[Mapping[str, int], ...]:
    return run.handled_by_presence, run.frames_by_gateway


def _error(counts: Mapping[str, int], run: Run) -> float:
    share = run.events / run.replicas
    return max(100 * abs(count / share - 1) for count in counts.values())


def _total(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def _summary(counts: Mapping[str, int]) -> list[int]:
    return sorted(counts.values())
