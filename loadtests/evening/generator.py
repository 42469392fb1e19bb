"""One scenario's load, in a process of its own: a job as a line of JSON on stdin, on stdout lines of JSON.

Each line is {"progress": {...}}; the last one is {"figures": {...}}.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog
import uvloop

from loadtests.evening.flood import FloodPlan, run_flood
from loadtests.evening.herd import HerdPlan, run_herd
from loadtests.evening.hot_group import HotGroupPlan, run_hot_group
from loadtests.evening.night import NightPlan, run_night
from loadtests.evening.slow import SlowPlan, run_slow
from loadtests.evening.watchers import WatchersPlan, run_watchers
from parley_client.client import Edge

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """`scenario` by name, with what its plan says. `pids` by the stack's names."""

    scenario: str
    plan: dict[str, Any]
    edge_address: str
    issuer_url: str
    pids: dict[str, int]

    @property
    def edge(self) -> Edge:
        """Where devices find the stack."""
        return Edge(self.edge_address, self.issuer_url)

    def to_json(self) -> str:
        """As the generator reads it."""
        return json.dumps(asdict(self))


SCENARIOS: Mapping[str, Callable[[Job, Say], Coroutine[Any, Any, dict[str, Any]]]] = {
    "evening": lambda job, say: run_night(job.edge, NightPlan(**job.plan), say),
    "reconnect-herd": lambda job, say: run_herd(job.edge, job.pids, HerdPlan(**job.plan), say),
    "hot-group": lambda job, say: run_hot_group(job.edge, HotGroupPlan(**job.plan), say),
    "celebrity": lambda job, say: run_watchers(job.edge, WatchersPlan(**job.plan), say),
    "slow-consumers": lambda job, say: run_slow(job.edge, job.pids, SlowPlan(**job.plan), say),
    "flood": lambda job, say: run_flood(job.edge, FloodPlan(**job.plan), say),
}


def _say(line: dict[str, Any]) -> None:
    print(json.dumps({"progress": line}), flush=True)


def main() -> None:
    """Reads the job, runs it, writes the figures."""
    # Standard output is for the figures. What the client library tells is much where a stack is overloaded.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    job = Job(**json.loads(sys.stdin.readline()))
    # Seldom: a full collection over all that devices know stands in the latency of what is measured.
    gc.set_threshold(50_000, 20, 100)
    figures: dict[str, Any] = uvloop.run(SCENARIOS[job.scenario](job, _say))
    print(json.dumps({"figures": figures}), flush=True)


if __name__ == "__main__":
    main()
