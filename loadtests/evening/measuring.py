"""A scenario against a stack: the generators' processes, and what each process of the stack takes meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.embedded.record import ROOT, StackRecord
from loadtests.evening import latencies, objectives, service_metrics
from loadtests.evening.generator import Job
from loadtests.message_path.processes import cpu_s, memory_of_trees_kib, used_since
from loadtests.sfu_media.growth import RULE, judge

# Raising it judges growth by fewer samples; lowering it takes more CPU from what is measured.
SAMPLE_S = 5.0
# Caches and pools fill in the beginning: below so long a window the verdict on growth is told, and decides nothing.
GROWTH_DECIDES_S = 900.0
# Above this the generator itself is late, and the figures are its own.
GENERATOR_LATE_MS = 50.0
# What a line of figures may have.
_LINE_BYTES = 1 << 27

Progress = Callable[[Mapping[str, Any]], None]


class GeneratorError(Exception):
    """A generator ended without figures."""


@dataclass
class Watch:
    """What the processes take, sampled while a scenario runs."""

    record: StackRecord
    generators: dict[str, int]
    samples: list[dict[str, Any]] = field(default_factory=list)
    # What the generators say of who is there: (monotonic seconds, devices, people in calls).
    load: list[tuple[float, int, int]] = field(default_factory=list)
    begin: dict[str, Any] | None = None
    end: dict[str, Any] | None = None

    async def run(self) -> None:
        """For ever."""
        while True:
            # The files of /proc are read beside the loop: those of a large process take a while.
            self.samples.append(await asyncio.to_thread(self._sample))
            await asyncio.sleep(SAMPLE_S)

    async def mark_begin(self) -> None:
        """The steady window begins. Only the first time."""
        if self.begin is None:
            self.begin = {"cpu": self._cpu(), "at_s": time.monotonic()}
            self.begin["counted"] = await service_metrics.scrape(self.record)

    async def mark_end(self) -> None:
        """It ends. Only the first time."""
        if self.end is None:
            self.end = {"cpu": self._cpu(), "at_s": time.monotonic()}
            self.end["counted"] = await service_metrics.scrape(self.record)

    def _cpu(self) -> dict[str, float]:
        return cpu_s({**self.record.pids, **self.generators})

    def _sample(self) -> dict[str, Any]:
        memory = memory_of_trees_kib({**self.record.pids, **self.generators})
        return {"at_s": time.monotonic(), "cpu": self._cpu(), "memory": memory}

    def figures(self) -> dict[str, Any]:
        """CPU of each process over the steady window in cores, memory in MiB with its verdict, and both over time."""
        assert self.begin is not None
        assert self.end is not None
        wall_s = self.end["at_s"] - self.begin["at_s"]
        # A process that was killed meanwhile has used nothing more.
        used = used_since(self.begin["cpu"], self.end["cpu"])
        cores = {name: round(max(spent, 0.0) / wall_s, 3) for name, spent in used.items()}
        steady = [one for one in self.samples if self.begin["at_s"] <= one["at_s"] <= self.end["at_s"]]
        counted = service_metrics.since(self.begin["counted"], self.end["counted"])
        return {
            "steady_wall_s": round(wall_s, 1),
            "cores": {name: used for name, used in cores.items() if name not in self.generators},
            "generator_cores": {name: used for name, used in cores.items() if name in self.generators},
            "cores_used": round(sum(used for name, used in cores.items() if name not in self.generators), 3),
            "memory": {name: self._memory(name, steady) for name in self.record.pids},
            "memory_rule": RULE,
            "memory_decides": wall_s >= GROWTH_DECIDES_S,
            "over_time": self._over_time(),
            "server_objectives": objectives.judge_server(service_metrics.of_objectives(counted)),
        }

    def _memory(self, name: str, steady: list[dict[str, Any]]) -> dict[str, Any]:
        began_s = steady[0]["at_s"] if steady else 0.0
        values = [((one["at_s"] - began_s) / 60, one["memory"][name] / 1024) for one in steady]
        verdict = judge(values)
        ends = {"first_mib": round(values[0][1], 1), "last_mib": round(values[-1][1], 1)} if values else {}
        return {**ends, **{key: _rounded(value) for key, value in verdict.items()}}

    def _over_time(self) -> dict[str, Any]:
        """`at_s` since the steady window began; cores and MiB of each process by sample."""
        assert self.begin is not None
        names = list(self.samples[0]["cpu"]) if self.samples else []
        pairs = list(zip(self.samples, self.samples[1:], strict=False))
        return {
            "at_s": [round(later["at_s"] - self.begin["at_s"], 1) for _, later in pairs],
            "cores": {
                name: [
                    round((later["cpu"][name] - one["cpu"][name]) / (later["at_s"] - one["at_s"]), 3)
                    for one, later in pairs
                ]
                for name in names
            },
            "memory_mib": {name: [round(later["memory"][name] / 1024, 1) for _, later in pairs] for name in names},
            "load": {
                "at_s": [round(at_s - self.begin["at_s"], 1) for at_s, _, _ in self.load],
                "devices": [devices for _, devices, _ in self.load],
                "in calls": [talking for _, _, talking in self.load],
            },
        }


async def measure(record: StackRecord, scenario: str, plans: list[dict[str, Any]], tell: Progress) -> dict[str, Any]:
    """The scenario's figures: one generator for each plan, all at once. Raises GeneratorError."""
    before = dict(record.pids)
    async with _Generators([Job(scenario, plan, record.edge_address, record.issuer_url, before) for plan in plans]) as (
        generators
    ):
        watch = Watch(record, generators.pids)
        sampling = asyncio.create_task(watch.run())
        try:
            figures = await generators.run(watch, tell)
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)
    return {**merge(figures), **watch.figures()}


def merge(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """Those of several generators as one."""
    if len(figures) == 1:
        return figures[0]
    counts: Counter[str] = Counter()
    promises: Counter[str] = Counter({"lost": 0, "duplicated": 0, "reordered": 0})
    for one in figures:
        counts.update(one["counts"])
        promises.update(one["promises"])
    return {
        **figures[0],
        "actions": latencies.merge(one["actions"] for one in figures),
        "counts": dict(sorted(counts.items())),
        "promises": dict(promises),
        "faults": [fault for one in figures for fault in one["faults"]][:20],
        "town": [one["town"] for one in figures],
        "messages_compared": sum(one["messages_compared"] for one in figures),
    }


class _Generators:
    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = jobs
        self._processes: list[asyncio.subprocess.Process] = []
        self._said: list[dict[str, Any]] = [{} for _ in jobs]

    @property
    def pids(self) -> dict[str, int]:
        names = ["generator"] if len(self._jobs) == 1 else [f"generator-{n + 1}" for n in range(len(self._jobs))]
        return {name: process.pid for name, process in zip(names, self._processes, strict=True)}

    async def __aenter__(self) -> _Generators:
        for job in self._jobs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "loadtests.evening.generator"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
                limit=_LINE_BYTES,
            )
            assert process.stdin
            process.stdin.write(job.to_json().encode() + b"\n")
            self._processes.append(process)
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        await asyncio.gather(*(process.wait() for process in self._processes))

    async def run(self, watch: Watch, tell: Progress) -> list[dict[str, Any]]:
        figures = await asyncio.gather(*(self._follow(number, watch, tell) for number in range(len(self._jobs))))
        await watch.mark_begin()
        await watch.mark_end()
        return figures

    async def _follow(self, number: int, watch: Watch, tell: Progress) -> dict[str, Any]:
        stdout = self._processes[number].stdout
        assert stdout
        async for line in stdout:
            said = json.loads(line)
            if "figures" in said:
                figures: dict[str, Any] = said["figures"]
                return figures
            self._said[number] = said["progress"]
            await self._mark(watch)
            together = _together(self._said)
            watch.load.append((time.monotonic(), together.get("devices", 0), together.get("in_calls", 0)))
            tell(together)
        raise GeneratorError("a generator ended without figures; what it said last is above")

    async def _mark(self, watch: Watch) -> None:
        """The window is steady from when all are, until the first one ends."""
        phases = [said.get("phase") for said in self._said]
        if all(phase == "steady" for phase in phases):
            await watch.mark_begin()
        if watch.begin is not None and any(phase == "ending" for phase in phases):
            await watch.mark_end()


def _together(said: list[dict[str, Any]]) -> Mapping[str, Any]:
    """The first generator's word, with the sums of what can be summed."""
    known = [one for one in said if one]
    together = dict(known[0])
    for name in ("devices", "calls", "in_calls"):
        if name in together:
            together[name] = sum(one.get(name, 0) for one in known)
    return together


def about_this_run() -> dict[str, Any]:
    """Machine and commit: what a figure is nothing without."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "commit": commit_of(ROOT),
    }


def commit_of(folder: Path) -> str:
    """The commit of a checkout, with `+` when something in it is changed."""

    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        return run.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "") or "unknown"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
