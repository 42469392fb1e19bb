"""From start to an orderly end: load the configuration, start the parts, watch readiness, drain on SIGTERM."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, Protocol, TypeVar, runtime_checkable

import structlog
import uvloop
from prometheus_client import REGISTRY, CollectorRegistry

from services.runtime import tasks
from services.runtime.config import ProcessConfig, TelemetryConfig
from services.runtime.env import ConfigError
from services.runtime.grpc.server import RpcServer
from services.runtime.observability import logs, metrics, metrics_server, tracing
from services.runtime.observability.failures import describe

log = structlog.get_logger()

CONFIG_EXIT = 2
# Raising it tells of an outage later than those hear of it who ask us, each 5 s; lowering it costs each dependency more
# questions while nothing happens.
READY_INTERVAL_S = 4.0
UNREADY_INTERVAL_S = 0.2
# Who does not answer in time is away; all are asked at once, so that one which hangs hides nothing of the others.
# Raising it tells of one that hangs later; lowering it takes a busy database for a dead one.
READY_TIMEOUT_S = 8.0
# How long a start waits for Kafka. Raising it makes a service that starts while Kafka is away take calls later;
# lowering it takes calls before the consumers have joined.
WARM_UP_S = 15.0


class Part(Protocol):
    """Something that starts and stops. `start` returns soon: outages of others are waited out in the background."""

    name: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@runtime_checkable
class Dependency(Protocol):
    """A part that tells whether it can be used now.

    Without an essential one the service cannot do its work. The others are waited for at the start, up to WARM_UP_S;
    later their outage shows in `service_ready` alone: while Kafka is away, sends and hang-ups must still be let in.

    One that costs something to ask may have a `ready_interval_s`: for so long it is not asked again after a yes.
    """

    name: str
    essential: bool

    async def ready(self) -> bool: ...


class Worker:
    """A part that is one coroutine for the life of the service, begun again when it ends: see tasks.py.

    `needed`: the service is not ready while it fails, and ends when it fails again and again.
    """

    def __init__(self, name: str, run: Callable[[], Coroutine[Any, Any, None]], *, needed: bool = False) -> None:
        self.name = name
        self._run = run
        self._needed = needed
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.task = tasks.keep(self.name, self._run, needed=self._needed)

    async def stop(self) -> None:
        await tasks.stop(self.task)


class Probe:
    """A dependency that needs no start, only a look."""

    def __init__(self, name: str, ready: Callable[[], Coroutine[Any, Any, bool]], *, essential: bool = True) -> None:
        self.name = name
        self.essential = essential
        self._ready = ready

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def ready(self) -> bool:
        """Whether the dependency can be used now."""
        return await self._ready()


class Readiness:
    """What keeps a service from being ready: an essential dependency that is away, or another that never came yet.

    `essential` says it of each dependency by name; `began` and `now` are monotonic seconds.
    """

    def __init__(self, essential: Mapping[str, bool], began: float) -> None:
        self._essential = essential
        self._began = began
        self._never_came = {name for name, is_essential in essential.items() if not is_essential}

    def update(self, states: Mapping[str, bool], now: float) -> list[str]:
        """The names of what is missing; empty when the service is ready."""
        self._never_came -= {name for name, is_up in states.items() if is_up}
        if now - self._began > WARM_UP_S:
            self._never_came.clear()
        away = {name for name, is_up in states.items() if not is_up and self._essential[name]}
        return sorted(away | self._never_came)


class App:
    """A service's parts, started in order and stopped in reverse. The RPC server comes last and drains first."""

    def __init__(self, parts: Sequence[Part], server: RpcServer | None = None) -> None:
        self._parts: list[Part] = [*parts, *([server] if server else [])]
        self._dependencies = [part for part in parts if isinstance(part, Dependency)]
        self.server = server
        self._tasks = tasks.Board()
        self._readiness = Readiness({part.name: part.essential for part in self._dependencies}, monotonic())
        self._watch: asyncio.Task[None] | None = None
        # Until when (monotonic) what a dependency said holds.
        self._good_until: dict[str, float] = {}

    async def start(self) -> None:
        """Start all parts. If one fails, those before it are stopped again and the error is raised."""
        tasks.use(self._tasks)
        for index, part in enumerate(self._parts):
            try:
                await part.start()
            except BaseException:
                await self._stop_parts(self._parts[:index])
                raise
        self._watch = tasks.keep("readiness", self._keep_readiness, needed=True)

    async def stop(self) -> None:
        """Stop all parts, the last started first, whatever became of the watch."""
        await tasks.stop(self._watch)
        await self._stop_parts(self._parts)

    async def failed(self) -> BaseException:
        """Wait until a task says that the process must end; give the reason."""
        return await self._tasks.fatal()

    async def _keep_readiness(self) -> None:
        try:
            await self._watch_readiness()
        except BaseException:
            # What was said last may not be true any more.
            if self.server:
                with suppress(Exception):
                    await self.server.set_ready(False)
            raise

    async def _watch_readiness(self) -> None:
        was_ready: bool | None = None
        while True:
            answers = await asyncio.gather(*(self._ask(part) for part in self._dependencies))
            states = {part.name: answer for part, answer in zip(self._dependencies, answers, strict=True)}
            for name, state in states.items():
                metrics.READY.labels(name).set(state)
            missing = [
                *self._readiness.update(states, monotonic()),
                *(f"task {name}" for name in self._tasks.failing()),
            ]
            if (not missing) != was_ready:
                was_ready = not missing
                log.info("readiness_changed", ready=was_ready, missing=missing)
                if self.server:
                    await self.server.set_ready(was_ready)
            await asyncio.sleep(READY_INTERVAL_S if was_ready else UNREADY_INTERVAL_S)

    async def _ask(self, part: Dependency) -> bool:
        if monotonic() < self._good_until.get(part.name, 0.0):
            return True
        answer = await _is_ready(part)
        if answer:
            self._good_until[part.name] = monotonic() + getattr(part, "ready_interval_s", 0.0)
        return answer

    async def _stop_parts(self, parts: Sequence[Part]) -> None:
        for part in reversed(parts):
            try:
                await part.stop()
            except Exception:
                log.exception("stop_failed", part=part.name)


async def _is_ready(part: Dependency) -> bool:
    """What the part says; no while it cannot even say, or takes too long for it."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            return await part.ready()
    except TimeoutError:
        log.warning("readiness_unknown", dependency=part.name, error="TimeoutError")
        return False
    except Exception:
        metrics.TASK_FAILURES.labels("readiness").inc()
        log.exception("readiness_unknown", dependency=part.name)
        return False


ConfigT = TypeVar("ConfigT", bound="ServiceConfig")


class ServiceConfig(Protocol):
    """What `main` needs to know of a service's configuration."""

    @property
    def process(self) -> ProcessConfig: ...


def main(
    service: str,
    load: Callable[[Mapping[str, str]], ConfigT],
    build: Callable[[ConfigT], App],
    registry: Callable[[ConfigT], CollectorRegistry] = lambda _: REGISTRY,
) -> int:
    """Run a service until SIGTERM or SIGINT. Returns the exit status: 0 after a drain, 1 after a failure, 2 for
    a faulty configuration, whose problems all go to standard error. `registry` holds the metrics that are served."""
    try:
        config = load(os.environ)
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{service}: {problem}\n")
        return CONFIG_EXIT
    logs.configure(config.process.log, service)
    logs.take_uncaught()
    try:
        if config.process.sched_batch:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        metrics_server.serve(config.process.metrics_address, registry(config))
        with _spans_kept(config.process.telemetry, service):
            return uvloop.run(_serve(config, build))
    except ConfigError as error:
        # Found in what the configuration names, such as a file of keys.
        log.error("service_failed", error=describe(error))
        return CONFIG_EXIT
    except (OSError, RuntimeError) as error:
        log.error("service_failed", error=describe(error))
        return 1


@contextmanager
def _spans_kept(config: TelemetryConfig, service: str) -> Iterator[None]:
    if not config.endpoint:
        yield
        return
    # Not at the top: who sends no spans shall not pay for the exporter's memory.
    from services.runtime.observability.telemetry import OtlpRecorder

    recorder = OtlpRecorder(config, service)
    tracing.use(recorder)
    try:
        yield
    finally:
        tracing.use(None)
        recorder.close()


async def _serve(config: ConfigT, build: Callable[[ConfigT], App]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.note_unhandled)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = build(config)
    await app.start()
    # What was imported and built is never garbage: a full collection would look at all of it, and stop every call for
    # 60 ms.
    gc.collect()
    gc.freeze()
    log.info("service_started", pid=os.getpid())
    asked = tasks.awaited(stop.wait(), why="ends with the process")
    broken = tasks.awaited(app.failed(), why="ends with the process")
    await asyncio.wait((asked, broken), return_when=asyncio.FIRST_COMPLETED)
    status = 0
    if broken.done():
        log.error("service_failed", error=describe(broken.result()), exc_info=broken.result())
        status = 1
    log.info("service_draining")
    for task in (asked, broken):
        task.cancel()
    await app.stop()
    log.info("service_stopped")
    return status
