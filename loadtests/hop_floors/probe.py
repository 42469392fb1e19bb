"""All hops, one after the other, in a process of its own: a job as JSON on stdin, the figures as JSON on stdout."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Any

import uvloop

from loadtests.hop_floors import hops
from loadtests.hop_floors.hops import Hop
from loadtests.message_path.figures import per_1000, percentiles
from loadtests.message_path.processes import cpu_s, used_since

# Taken before anything is measured: connections, prepared statements, what Java compiles.
WARM_UP = 200
BODY_BYTES = 400
CLIENT = "client"


@dataclass(frozen=True)
class Job:
    """Where the stores are, and how long each hop is taken: at a pace, and as fast as one answer follows another."""

    database_url: str
    kafka: str
    pids: dict[str, int]
    rate: float = 50.0
    paced_s: float = 10.0
    full_s: float = 4.0
    warm_up: int = WARM_UP

    def to_json(self) -> str:
        """As the probe reads it."""
        return json.dumps(asdict(self))


async def run(job: Job) -> dict[str, Any]:
    """By hop: what it takes at the pace, and back to back."""
    postgres, broker = ({part: job.pids[part]} for part in ("postgres", "broker"))
    found: dict[str, AbstractAsyncContextManager[Hop]] = {
        "unary": hops.unary(),
        "unary_behind_envoy": hops.unary_behind_envoy(),
        "statement": hops.statement(job.database_url, postgres),
        "produce": hops.produce(job.kafka, broker),
        "produce_and_fetch": hops.produce_and_fetch(job.kafka, broker),
    }
    figures = {}
    for name, opened in found.items():
        async with opened as hop:
            for _ in range(job.warm_up):
                await hop.take(b"x" * BODY_BYTES)
            figures[name] = {
                "paced": await measure(hop, job.paced_s, 1 / job.rate),
                "full": await measure(hop, job.full_s, 0.0),
            }
    return figures


async def measure(hop: Hop, seconds: float, interval_s: float) -> dict[str, Any]:
    """One after the other for so long, each begun `interval_s` after the one before at the earliest."""
    pids = {**hop.pids, CLIENT: os.getpid()}
    before, began = cpu_s(pids), time.monotonic()
    taken_ms: list[float] = []
    due = began
    while due < began + seconds:
        await asyncio.sleep(max(0.0, due - time.monotonic()) if interval_s else 0)
        start = time.monotonic()
        await hop.take(b"x" * BODY_BYTES)
        taken_ms.append((time.monotonic() - start) * 1000)
        due = max(due + interval_s, time.monotonic())
    return figures_of(taken_ms, used_since(before, cpu_s(pids)))


def figures_of(taken_ms: Sequence[float], used_s: dict[str, float]) -> dict[str, Any]:
    """The report's figures of a hop."""
    return {
        "count": len(taken_ms),
        "ms": percentiles(taken_ms, (50, 99)),
        "cpu_s_per_1000": per_1000(used_s, len(taken_ms)),
    }


def main() -> None:
    """Reads the job, runs it, writes the figures."""
    print(json.dumps(uvloop.run(run(Job(**json.loads(sys.stdin.read()))))), flush=True)


if __name__ == "__main__":
    main()
