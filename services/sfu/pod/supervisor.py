"""The workers of a pod, a process each: started, watched, replaced when they die, and stopped in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import structlog

from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.restarts import next_pause_s
from services.sfu.core.ids import WorkerId
from services.sfu.metrics import WORKER_RESTARTS
from services.sfu.pod.config import WorkerSpec

log = structlog.get_logger()

# How often a worker's health is checked, and how many checks in a row without an answer end it: a worker that hangs
# holds its calls. Raising either lets them hang for longer; lowering it ends calls on a machine that is only busy for a
# while.
CHECK_INTERVAL_S = 2.0
MAX_SILENCES = 5
# Until it has answered once, this long.
START_TIMEOUT_S = 60.0


class WorkerProcess(Protocol):
    """What asyncio's subprocesses are."""

    @property
    def pid(self) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    async def wait(self) -> int: ...


Launch = Callable[[WorkerSpec], Awaitable[WorkerProcess]]
# (worker, name of the health service) -> whether it serves.
Check = Callable[[WorkerSpec, str], Awaitable[bool]]


class Pod:
    """A part of the service, and a dependency: ready while one of its workers is."""

    name = "workers"
    essential = True

    def __init__(
        self,
        specs: Sequence[WorkerSpec],
        launch: Launch,
        check: Check,
        announce_gone: Callable[[WorkerId], Awaitable[None]],
        clock: Clock,
        stop_timeout_s: float,
        check_interval_s: float = CHECK_INTERVAL_S,
    ) -> None:
        """`announce_gone` is called as soon as a worker has died, before it is replaced."""
        self._specs = specs
        self._launch = launch
        self._check = check
        self._announce_gone = announce_gone
        self._clock = clock
        self._stop_timeout_s = stop_timeout_s
        self._check_interval_s = check_interval_s
        self._running: dict[WorkerId, WorkerProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to start the workers; `ready` tells of the first that serves."""
        self._keepers = [
            tasks.keep(f"keeper-{spec.worker_id}", partial(self._keep, spec), label="worker-keeper")
            for spec in self._specs
        ]

    async def stop(self) -> None:
        """Let all workers drain at once, and wait for them; one that takes too long is killed."""
        await tasks.stop(*self._keepers)
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.terminate()
        await asyncio.gather(*(self._end(worker_id, process) for worker_id, process in self._running.items()))

    async def ready(self) -> bool:
        """Whether any worker takes calls: the others' are announced as gone."""
        return any(await asyncio.gather(*(self._check(spec, "readiness") for spec in self._specs)))

    async def _keep(self, spec: WorkerSpec) -> None:
        pause_s = 0.0
        while True:
            began = self._clock.monotonic()
            process = await self._launch(spec)
            self._running[spec.worker_id] = process
            log.info("sfu_worker_started", worker_id=spec.worker_id, pid=process.pid)
            try:
                status = await self._watch(spec, process, began)
            except Exception:
                # The next start is another process, and two must not run under one id.
                _kill(process)
                await process.wait()
                raise
            finally:
                if not tasks.is_cancelled():
                    del self._running[spec.worker_id]
            WORKER_RESTARTS.inc()
            log.error("sfu_worker_died", worker_id=spec.worker_id, status=status)
            await self._announce_gone(spec.worker_id)
            pause_s = next_pause_s(pause_s, self._clock.monotonic() - began)
            await asyncio.sleep(pause_s)

    async def _watch(self, spec: WorkerSpec, process: WorkerProcess, began: float) -> int:
        """The status with which it ended; one that does not answer any more is ended."""
        ending = tasks.awaited(process.wait(), why="ends with the process")
        has_answered, silences = False, 0
        try:
            while not (await asyncio.wait({ending}, timeout=self._check_interval_s))[0]:
                if await self._check(spec, "liveness"):
                    has_answered, silences = True, 0
                else:
                    silences += 1
                    starts_late = self._clock.monotonic() - began >= START_TIMEOUT_S
                    if silences >= MAX_SILENCES and (has_answered or starts_late):
                        log.error("sfu_worker_hangs", worker_id=spec.worker_id)
                        _kill(process)
            return ending.result()
        finally:
            ending.cancel()

    async def _end(self, worker_id: WorkerId, process: WorkerProcess) -> None:
        try:
            async with asyncio.timeout(self._stop_timeout_s):
                await process.wait()
        except TimeoutError:
            log.error("sfu_worker_killed", worker_id=worker_id)
            _kill(process)
            await process.wait()
            await self._announce_gone(worker_id)


def _kill(process: WorkerProcess) -> None:
    """On a busy machine one that was killed has ended before we are told, and is looked at once more."""
    with suppress(ProcessLookupError):
        process.kill()
