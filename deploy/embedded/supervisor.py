"""Starts the processes of the stack in order, restarts one that died, and stops all in reverse order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from deploy.embedded.errors import StartError
from deploy.embedded.logs import LogSink
from deploy.embedded.process import ManagedProcess, ProcessSpec
from services.runtime.restarts import next_pause_s

LOG_NAME = "supervisor"


class Supervisor:
    """Starts groups of processes and keeps them. `on_change` is called whenever a pid has changed."""

    def __init__(self, sink: LogSink, on_change: Callable[[], None] = lambda: None) -> None:
        self._sink = sink
        self._on_change = on_change
        self._groups: list[list[ManagedProcess]] = []
        self._restarters: list[asyncio.Task[None]] = []

    def pids(self) -> dict[str, int]:
        """Name to pid, of what runs now."""
        processes = (process for group in self._groups for process in group)
        return {process.spec.name: process.pid for process in processes if process.pid is not None}

    async def start(self, *specs: ProcessSpec) -> None:
        """Starts one group side by side and waits until all are ready. The first that fails ends the wait."""
        group = [ManagedProcess(spec, self._sink) for spec in specs]
        self._groups.append(group)
        starting = [asyncio.create_task(process.start()) for process in group]
        try:
            await asyncio.gather(*starting)
        finally:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
        self._restarters += [asyncio.create_task(self._restart_when_ended(process)) for process in group]
        self._on_change()

    async def stop(self, *, timeout_s: float | None = None) -> None:
        """Stops all, the last group first. Idempotent. `timeout_s` 0 kills at once."""
        for restarter in self._restarters:
            restarter.cancel()
        await asyncio.gather(*self._restarters, return_exceptions=True)
        self._restarters.clear()
        for group in reversed(self._groups):
            await asyncio.gather(*(process.stop(timeout_s=timeout_s) for process in group))
        self._groups.clear()

    async def _restart_when_ended(self, process: ManagedProcess) -> None:
        pause_s = 0.0
        while True:
            began = time.monotonic()
            status = await process.wait()
            pause_s = next_pause_s(pause_s, time.monotonic() - began)
            self._say(f"{process.spec.name} ended with status {status}: restarting it in {pause_s:.1f} s")
            await process.stop(timeout_s=0)
            await asyncio.sleep(pause_s)
            await self._restart(process)

    async def _restart(self, process: ManagedProcess) -> None:
        try:
            await process.start()
        except StartError as error:
            # It may run and only be unready, because it waits for another part: then it is left alone.
            self._say(str(error))
        except Exception as error:
            self._say(f"{process.spec.name} could not be prepared: {error!r}")
            await process.stop(timeout_s=0)
        else:
            self._say(f"{process.spec.name} runs again")
        self._on_change()

    def _say(self, text: str) -> None:
        self._sink.write(LOG_NAME, text)
        self._sink.flush()
