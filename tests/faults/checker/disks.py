"""Faults of disks: slow and full ones of PostgreSQL and the broker, by a library that is preloaded into them.

What the library does not see (disk_shim.c) goes on as before: memory that was mapped to files
before, and stdio.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import shutil
import struct
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import asyncpg

from deploy.embedded import postgres, probes
from deploy.embedded.record import ROOT
from loadtests.disasters.postgres import Server
from tests.faults.checker.stacks import CheckedStack, Planned
from tests.support.waiting import eventually

SHIM = Path(__file__).with_name("disk_shim.c")
# Whose disks they can be.
TARGETS = ("postgres", "broker")
# As the shim has it: microseconds before a write and before a sync, whether it is full; how many calls were delayed and
# refused.
_WORDS = struct.Struct("=5I")
WRITE_DELAY_US = 2_000
# Of a disk that is shared by many. Raising it above what a statement may take (10 s) is a pause; lowering it, a commit
# waits for less than it does on an honest disk.
SYNC_DELAY_US = 300_000
# How long a part must run on when there is room again, until it counts as one that stays. Raising it leaves a run fewer
# faults; lowering it takes one that is about to end for one that goes on.
STEADY_S = 1.0


class Disk:
    """The disk of one process. Closed by nobody: the folder of its file goes with the run."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(_WORDS.size))
        # PostgreSQL runs as a user of its own.
        file.chmod(0o666)
        self.file = file
        with file.open("r+b") as opened:
            self._words = mmap.mmap(opened.fileno(), _WORDS.size)

    def set(self, write_delay_us: int = 0, sync_delay_us: int = 0, *, is_full: bool = False) -> None:
        """From now on; without arguments all is as it was."""
        # The counts behind them are the shim's.
        self._words[:12] = struct.pack("=3I", write_delay_us, sync_delay_us, is_full)

    @property
    def delayed(self) -> int:
        """How many calls had to wait so far."""
        return int(_WORDS.unpack(self._words)[3])

    @property
    def refused(self) -> int:
        """How many calls found no room so far."""
        return int(_WORDS.unpack(self._words)[4])

    def env(self, library: Path) -> dict[str, str]:
        """What a process gets that is to have this disk."""
        return {"LD_PRELOAD": str(library), "PARLEY_FAULT_DISK": str(self.file)}


def missing() -> str | None:
    """Why there is no shim here; None when there can be one."""
    return None if shutil.which("gcc") else "no gcc here"


def build_shim() -> Path:
    """The library, compiled where that was not done yet. Raises CalledProcessError."""
    digest = hashlib.sha256(SHIM.read_bytes()).hexdigest()[:12]
    library = ROOT / "build" / "faults" / f"disk-{digest}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        unfinished = library.with_suffix(".unfinished")
        subprocess.run(
            ["gcc", "-Wall", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(unfinished), str(SHIM)], check=True
        )
        unfinished.replace(library)
    if postgres.system_user() is not None:
        postgres.open_way_to(library)
    return library


# ---- The faults


async def slow_down(stack: CheckedStack, planned: Planned) -> None:
    """Each write and each sync of a file takes its time."""
    disk = stack.disks[planned.target]
    try:
        disk.set(WRITE_DELAY_US, SYNC_DELAY_US)
        await asyncio.sleep(planned.lasts_s)
    finally:
        disk.set()


async def fill(stack: CheckedStack, planned: Planned) -> None:
    """No file grows any more, until there is room again; then the process must come back by itself, if it ended.

    Of PostgreSQL at times only what is written to tables, and at times also the WAL: that ends all of its sessions.
    """
    disk = stack.disks[planned.target]
    try:
        disk.set(is_full=True)
        if planned.target == "postgres" and Random(planned.lasts_s).random() < 0.5:
            await _end_wal_segment(stack)
        await asyncio.sleep(planned.lasts_s)
    finally:
        disk.set()
    await _until_steady(stack, planned.target)


async def _end_wal_segment(stack: CheckedStack) -> None:
    """The next commit asks for a new file of the WAL."""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await Server(stack.running.folder).execute("SELECT pg_switch_wal()", "SELECT txid_current()")


async def _until_steady(stack: CheckedStack, name: str) -> None:
    """Returns once the process has been there for a while under one pid."""
    answers = _probe(stack, name)

    async def stays() -> bool:
        pid = stack.pids.get(name)
        if not await answers():
            return False
        await asyncio.sleep(STEADY_S)
        return pid is not None and pid == stack.pids.get(name) and await answers()

    await eventually(stays, what=f"{name} after its disk was full", progress=stack.running.progress())


def _probe(stack: CheckedStack, name: str) -> Callable[[], Awaitable[bool]]:
    record = stack.running.record
    if name == "postgres":
        return probes.postgres(record.database_urls["parley_messaging"])
    host, _, port = record.kafka_bootstrap.rpartition(":")
    return probes.tcp(host, int(port))
