"""One supervised process: its own process group, its output in the log, a readiness probe, a stop that always ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded import parent_death
from deploy.embedded.errors import StartError
from deploy.embedded.logs import LogSink, pump
from deploy.embedded.probes import Probe

PROBE_INTERVAL_S = 0.05
# Of a process that neither ends nor gets ready. Raising it lets a slow machine start, where a dozen of them load their
# code at once; lowering it reports one that hangs sooner.
READY_TIMEOUT_S = 240.0
KILL_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class SystemUser:
    """Whom to run a process as, when not as ourselves."""

    uid: int
    gid: int


@dataclass(frozen=True)
class ProcessSpec:
    """What to run, and how to know that it runs.

    `before_start` is carried out before each start: what the process needs may be gone since the last one.
    `after_ready` is carried out after each start, before the process counts as started.
    `death_signal` is what the kernel sends when the supervisor itself is killed.
    """

    name: str
    command: tuple[str, ...]
    ready: Probe
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path()
    user: SystemUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    stop_timeout_s: float = 15.0
    before_start: Callable[[], Awaitable[None]] | None = None
    after_ready: Callable[[], Awaitable[None]] | None = None


class ManagedProcess:
    """A process that was started from a spec; `start` may be called again once it has ended."""

    def __init__(self, spec: ProcessSpec, sink: LogSink) -> None:
        self.spec = spec
        self._sink = sink
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None
        self._group_killed = False

    @property
    def pid(self) -> int | None:
        """The running process's id; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts it and waits until it is ready. Raises StartError when it ends first or takes too long."""
        if self.spec.before_start is not None:
            await self.spec.before_start()
        await self._spawn()
        waiting = asyncio.create_task(self._until_ready())
        ended = asyncio.create_task(self.wait())
        try:
            await asyncio.wait({waiting, ended}, timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise StartError(f"{self.spec.name} ended early, with status {ended.result()}.\n{self.tail()}")
            if not waiting.done():
                raise StartError(f"{self.spec.name} was not ready within {READY_TIMEOUT_S:.0f} s.\n{self.tail()}")
            waiting.result()
        finally:
            for task in (waiting, ended):
                task.cancel()
            await asyncio.gather(waiting, ended, return_exceptions=True)

    async def wait(self) -> int:
        """Waits until it has ended and its output is written; returns its status, negative for a signal.

        What it had started itself is killed then: it must neither stay nor answer in place of the next one.
        """
        if self._process is None or self._output is None:
            return 0
        status = await self._process.wait()
        self._kill_group()
        await asyncio.wait({self._output}, timeout=KILL_TIMEOUT_S)
        return status

    async def stop(self, *, timeout_s: float | None = None) -> None:
        """Asks it to end, and after `timeout_s` kills its whole process group. Idempotent; 0 kills at once."""
        process = self._process
        if process is None:
            return
        grace_s = self.spec.stop_timeout_s if timeout_s is None else timeout_s
        if process.returncode is None and grace_s > 0:
            process.send_signal(self.spec.stop_signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await process.wait()
        self._kill_group()
        await self.wait()

    def tail(self) -> str:
        """The last lines that it wrote."""
        return self._sink.tail(self.spec.name)

    async def _spawn(self) -> None:
        spec = self.spec
        user = spec.user or SystemUser(-1, -1)
        wrapped = (
            *(sys.executable, "-I", "-S", parent_death.__file__),
            *(str(os.getpid()), str(int(spec.death_signal)), str(user.uid), str(user.gid)),
            *spec.command,
        )
        # A pipe of our own: asyncio's would hold back the end of a process whose children still have it open.
        readable, writable = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *wrapped,
                env={**os.environ, **spec.env},
                cwd=spec.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writable,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
            self._group_killed = False
        finally:
            os.close(writable)
            self._output = asyncio.create_task(pump(os.fdopen(readable, "rb"), spec.name, self._sink))

    async def _until_ready(self) -> None:
        while not await self.spec.ready():  # noqa: ASYNC110 - another process cannot set an event of ours
            await asyncio.sleep(PROBE_INTERVAL_S)
        if self.spec.after_ready is not None:
            await self.spec.after_ready()

    def _kill_group(self) -> None:
        """Kills the process group, once: later its number may be another's."""
        if self._process is not None and not self._group_killed:
            self._group_killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
