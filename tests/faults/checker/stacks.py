"""The stack that is checked, as faults take hold of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from tests.faults.checker.disks import Disk
    from tests.faults.checker.networks import Network


@dataclass(frozen=True)
class CheckedStack:
    """A stack whose services have clocks that can be set: see `hosted.py`, also for the folder.

    `network`: of its own, where that can be had. `disks`: by process, of those whose disks can be slowed and filled.
    """

    running: RunningStack
    folder: Path
    network: Network | None = None
    disks: Mapping[str, Disk] = field(default_factory=dict)

    @property
    def pids(self) -> Mapping[str, int]:
        """Of the processes, as they run now."""
        return self.running.record.pids

    async def end(self, name: str, how: signal.Signals) -> None:
        """Ends a process, and returns when it is started anew and ready."""
        old_pid = self.pids[name]
        # It may have ended by itself just now.
        with suppress(ProcessLookupError):
            os.kill(old_pid, how)
        await self.until_started_anew(name, old_pid)

    async def until_started_anew(self, name: str, old_pid: int) -> None:
        """Returns when the process is ready under another pid."""
        await asyncio.to_thread(self.running.wait_for_restart, name, old_pid, PATIENCE_S)


@dataclass(frozen=True)
class Planned:
    """A fault to come: `rest_s` after the one before, for `lasts_s` where its length is not its own."""

    name: str
    target: str
    rest_s: float
    lasts_s: float


def with_children(pid: int) -> Iterator[int]:
    """A process and those that it has started."""
    yield pid
    yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
