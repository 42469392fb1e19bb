"""One scenario's load, in a process of its own: a job as a line of JSON on stdin, on stdout lines of JSON.

Each line is {"progress": {...}}; the last one is {"figures": {...}}.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import uvloop

from loadtests.evening.night import NightPlan, run_night
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


async def _evening(job: Job, say: Say) -> dict[str, Any]:
    return await run_night(job.edge, NightPlan(**job.plan), say)


SCENARIOS: Mapping[str, Callable[[Job, Say], Awaitable[dict[str, Any]]]] = {"evening": _evening}


def _say(line: dict[str, Any]) -> None:
    print(json.dumps({"progress": line}), flush=True)


def main() -> None:
    """Reads the job, runs it, writes the figures."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    job = Job(**json.loads(sys.stdin.readline()))
    # Seldom: a full collection over all that devices know stands in the latency of what is measured.
    gc.set_threshold(50_000, 20, 100)
    figures = uvloop.run(SCENARIOS[job.scenario](job, _say))
    print(json.dumps({"figures": figures}), flush=True)


if __name__ == "__main__":
    main()
