"""One round: devices come to a gateway, stay idle, and come again after it was killed."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from deploy.embedded.record import ROOT, StackRecord
from loadtests.idle_devices.holder import Job
from loadtests.message_path.processes import cpu_s, memory_kib

# Devices a holder. Raising it makes the holder the slow part; lowering it runs more processes beside the gateway.
_A_HOLDER = 2_500
_ALL_WITHIN_S = 300.0


class HolderError(Exception):
    """A holder ended, or its devices did not become ready in time."""


@dataclass(frozen=True)
class Round:
    """`way`: "straight" or "edge". `streams`: devices a connection, of which the edge allows 100."""

    way: str
    devices: int
    streams: int
    idle_s: float


async def measure(record: StackRecord, plan: Round) -> dict[str, Any]:
    """The figures of one round, at the end of which the gateway was killed and is there again. Raises HolderError."""
    address = record.grpc_addresses["gateway"] if plan.way == "straight" else record.edge_address
    pid = record.pids["gateway"]
    async with AsyncExitStack() as cleanup:
        first = await cleanup.enter_async_context(_holders(record, address, 1, 1))
        await first.all_ready()
        base_kib = memory_kib(pid)
        holders = await cleanup.enter_async_context(_holders(record, address, plan.devices, plan.streams))
        connect_all_s = await holders.all_ready()
        await asyncio.sleep(5.0)
        held_kib = memory_kib(pid)
        idle = await _idle_cpu_percent(pid, plan.idle_s)
        os.kill(pid, signal.SIGKILL)
        killed_at = time.monotonic()
        reconnect_all_s = await holders.all_ready(since=killed_at)
        return {
            "way": plan.way,
            "devices": plan.devices,
            "streams_a_connection": plan.streams,
            "base_kib": base_kib,
            "kib_per_device": round((held_kib - base_kib) / plan.devices, 2),
            "idle_cpu_percent": round(idle, 2),
            "connect_all_s": round(connect_all_s, 2),
            "reconnect_all_s": round(reconnect_all_s, 2),
            "refused_meanwhile": holders.refused,
            "load_average": [round(load, 2) for load in os.getloadavg()],
        }


async def _idle_cpu_percent(pid: int, seconds: float) -> float:
    before, began = cpu_s({"gateway": pid})["gateway"], time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu_s({"gateway": pid})["gateway"] - before) / (time.monotonic() - began) * 100


class Holders:
    """The holders' processes, and what they say."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes
        self._began_s = 0.0
        self.refused = 0

    async def begin(self, jobs: list[Job]) -> None:
        """Hand out the jobs, and wait until all users are logged in."""
        for process, job in zip(self._processes, jobs, strict=True):
            assert process.stdin
            process.stdin.write(job.to_json().encode() + b"\n")
        said = await self._hear()
        self._began_s = min(line["at_s"] for line in said)

    async def all_ready(self, since: float | None = None) -> float:
        """Waits until all devices are ready (again). Seconds from the beginning, or from `since`, until they were."""
        said = await self._hear()
        while since is not None and min(line["at_s"] for line in said) < since:
            said = await self._hear()
        self.refused = int(sum(line["refused"] for line in said))
        return float(max(line["at_s"] for line in said) - (self._began_s if since is None else since))

    async def _hear(self) -> list[dict[str, float]]:
        try:
            async with asyncio.timeout(_ALL_WITHIN_S):
                return await asyncio.gather(*map(_line, self._processes))
        except TimeoutError:
            raise HolderError(f"not all devices were ready within {_ALL_WITHIN_S:g} s") from None


async def _line(process: asyncio.subprocess.Process) -> dict[str, float]:
    assert process.stdout
    line = await process.stdout.readline()
    if not line:
        raise HolderError("a holder of devices ended")
    said: dict[str, float] = json.loads(line)
    return said


@asynccontextmanager
async def _holders(record: StackRecord, address: str, devices: int, streams: int) -> AsyncIterator[Holders]:
    """The processes that hold so many devices, their users logged in; they end with the block."""
    counts = [min(_A_HOLDER, devices - start) for start in range(0, devices, _A_HOLDER)]
    jobs = [Job(address, record.issuer_url, count, streams, f"idle-{secrets.token_hex(4)}") for count in counts]
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtests.idle_devices.holder"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        for _ in jobs
    ]
    try:
        holders = Holders(processes)
        await holders.begin(jobs)
        yield holders
    finally:
        for process in processes:
            process.kill()
        await asyncio.gather(*(process.wait() for process in processes))
