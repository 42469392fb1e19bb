"""Calls that come and go for minutes: what is alive in the worker whenever nobody is there, and whether it grows."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from deploy.embedded import broker
from deploy.embedded.logs import LogSink
from deploy.embedded.process import ManagedProcess
from loadtests.sfu_media.growth import RULE, judge
from loadtests.sfu_media.parts import Bench, Plan
from loadtests.sfu_media.worker import WorkerProcess, run_worker

# What the last participants' transports take to close.
_EMPTY_S, _LOOK_S = 15.0, 0.25


async def soak(plan: Plan, seconds: float, log: Path) -> dict[str, Any]:
    """Turns of joins, fan-out and voice for so long on one worker, beside a real broker: without one, the events that
    wait for it would be the growth. Gives the report: see `report_of`."""
    samples: list[dict[str, float]] = []
    async with _run_broker(log.parent) as kafka, run_worker(log, kafka=kafka, is_instrumented=True) as worker:
        bench = Bench(worker, plan)
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            await bench.joins()
            await bench.fan_out()
            await bench.voice()
            vitals = await _vitals_when_empty(worker)
            samples.append({"minute": (time.monotonic() - began) / 60, **vitals})
            print("soak:", {name: round(value, 2) for name, value in samples[-1].items()}, file=sys.stderr, flush=True)
        await bench.stop()
    return report_of(samples)


def report_of(samples: list[dict[str, float]]) -> dict[str, Any]:
    """By name of what was sampled: the series by turn, and the verdict on it. `grows` has the names of what grows.

    `open_resources` must be 0 in each turn; `is_empty_between` says whether it was.
    """
    minutes = [sample["minute"] for sample in samples]
    series = {name: [sample[name] for sample in samples] for name in samples[0] if name != "minute"}
    verdicts = {name: judge(list(zip(minutes, values, strict=True))) for name, values in series.items()}
    return {
        "rule": RULE,
        "grows": [name for name, verdict in verdicts.items() if verdict["grows"]],
        "is_empty_between": not any(series["open_resources"]),
        "minutes": _rounded(minutes),
        **{name: {**verdicts[name], "series": _rounded(values)} for name, values in series.items()},
    }


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 3) for value in values]


async def _vitals_when_empty(worker: WorkerProcess) -> dict[str, float]:
    """Those of the moment when nothing is open any more, or of a deadline's."""
    deadline = time.monotonic() + _EMPTY_S
    while True:
        vitals = await worker.vitals()
        if not vitals["open_resources"] or time.monotonic() > deadline:
            return vitals
        await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def _run_broker(logs: Path) -> AsyncIterator[Mapping[str, str]]:
    """An embedded broker with all topics, and what a service's environment says of it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    sink = LogSink(logs, console=None)
    process = ManagedProcess(broker.spec("127.0.0.1", port), sink)
    try:
        await process.start()
        yield {**broker.CLIENT_SETTINGS, "PARLEY_KAFKA_BOOTSTRAP": f"127.0.0.1:{port}"}
    finally:
        await process.stop()
        sink.close()
