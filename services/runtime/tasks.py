"""The one way to run a task in the background: whatever ends it is logged, counted, and mended or loud.

The rule:

- `keep` and `retry` are for tasks that outlive the call that starts them. Whatever ends one, other than our own
  `cancel`, is logged (`task_failed`), counted (`background_task_failures`), and the task begins again after a pause
  (`restarts.py`: 0.2 s, doubled up to 5 s).
- A task without which the service cannot do its work is `needed`: while it fails, the service is not ready. When it
  fails MAX_FAILURES times in a row, the process ends with status 1, since its memory may be at fault, and a new
  process has a new one. A task that is not needed is tried again for ever.
- `Fatal` ends the process at once: a person must do something first, or there is nothing left to run for.
- `awaited` and `detached` are for tasks that end by themselves. Both ask for the reason why that is so.

`asyncio.create_task` and its like stand nowhere else in the services; a test reads the sources for them. Nor does
`asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes together with the result: a task that is
stopped just then would go on for ever. `asyncio.timeout` does not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import structlog

from services.runtime.observability import metrics
from services.runtime.restarts import HEALTHY_AFTER_S, next_pause_s

log = structlog.get_logger()

# In a row. Raising it leaves a process that cannot work standing for longer; lowering it ends one, and with it what it
# holds in memory, for a fault that might have passed.
MAX_FAILURES = 5
# A task that has run for so long after a restart is not failing any more. Raising it keeps the service unready for
# longer after a single failure; lowering it lets a task that fails again and again look well in between.
SETTLED_S = 1.0

ResultT = TypeVar("ResultT")


class Fatal(RuntimeError):
    """The process cannot go on, and starting the task again would not help. It ends with status 1."""


class Board:
    """What the tasks of one service say of themselves."""

    def __init__(self) -> None:
        self._failing: dict[object, str] = {}
        self._fatal: BaseException | None = None
        self._ended = asyncio.Event()

    def failing(self) -> list[str]:
        """The needed tasks that fail now."""
        return sorted(set(self._failing.values()))

    async def fatal(self) -> BaseException:
        """Wait until a task says that the process must end; give the reason."""
        await self._ended.wait()
        assert self._fatal
        return self._fatal

    def note_failing(self, owner: object, name: str) -> None:
        """A needed task has failed."""
        self._failing[owner] = name

    def note_well(self, owner: object) -> None:
        """It works, or is not there any more."""
        self._failing.pop(owner, None)

    def end(self, reason: BaseException) -> None:
        """The process must end. The first reason counts."""
        self._fatal = self._fatal or reason
        self._ended.set()


# Set by App: tasks belong to the service whose parts start them. Many live in one process in tests.
_board: ContextVar[Board | None] = ContextVar("parley_tasks", default=None)


def use(board: Board) -> None:
    """Have the tasks that are started from here report to a board."""
    _board.set(board)


def keep(
    name: str, run: Callable[[], Coroutine[Any, Any, object]], *, needed: bool = False, label: str = ""
) -> asyncio.Task[None]:
    """Run for ever. `run` that returns has failed. `label` is the metric's, where the name holds an id or an address.

    The task ends only by being cancelled or by Fatal, which it raises.
    """
    return _start(_Kept(name, label or name, run, needed=needed, may_return=False))


def retry(
    name: str, run: Callable[[], Coroutine[Any, Any, object]], *, needed: bool = False, label: str = ""
) -> asyncio.Task[None]:
    """Run until it returns once. See `keep`."""
    return _start(_Kept(name, label or name, run, needed=needed, may_return=True))


def awaited(work: Coroutine[Any, Any, ResultT], *, why: str, name: str | None = None) -> asyncio.Task[ResultT]:
    """A task that whoever starts it also awaits, so that its failure is theirs. `why` says how it ends."""
    assert why
    return asyncio.create_task(work, name=name)


def detached(work: Coroutine[Any, Any, ResultT], *, why: str, name: str, label: str = "") -> asyncio.Task[ResultT]:
    """A task that ends by itself and that nobody need await: its failure is logged and counted. Keep a reference.

    `why` says how it ends; `label` is the metric's, where the name holds an id or an address.
    """
    assert why
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(partial(_note_detached, label or name))
    return task


async def stop(*stopped: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait for their ends, whatever they were about to do or to say.

    A cancellation of the caller is the caller's, also while it waits here.
    """
    running = [task for task in stopped if task is not None]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in running:
        # Looked at, so that asyncio does not complain that nobody did.
        if not task.cancelled():
            task.exception()


def is_cancelled() -> bool:
    """Within `except CancelledError`: whether somebody cancelled this task, or the error came out of what it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Kept:
    def __init__(
        self, name: str, label: str, run: Callable[[], Awaitable[object]], *, needed: bool, may_return: bool
    ) -> None:
        self.name = name
        self._label = label
        self._run = run
        self._needed = needed
        self._may_return = may_return
        self._board = _board.get() or Board()
        self._failures = 0
        self._settling: asyncio.TimerHandle | None = None

    async def keep(self) -> None:
        pause_s = 0.0
        try:
            while True:
                began = monotonic()
                failure = await self._try()
                if failure is None:
                    return
                self._stop_settling()
                ran_s = monotonic() - began
                pause_s = next_pause_s(pause_s, ran_s)
                self._failures = 1 if ran_s >= HEALTHY_AFTER_S else self._failures + 1
                self._note(failure, pause_s)
                await asyncio.sleep(pause_s)
                self._settling = asyncio.get_running_loop().call_later(SETTLED_S, self._note_well)
        finally:
            self._stop_settling()
            self._note_well()

    async def _try(self) -> BaseException | None:
        """What ended the task; None when it has done what it had to."""
        try:
            await self._run()
        except (SystemExit, KeyboardInterrupt):
            raise
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            return error
        except Fatal as error:
            self._end(error)
            raise
        # Some libraries raise what is no Exception, for their own panics.
        except BaseException as error:
            return error
        return None if self._may_return else RuntimeError(f"{self.name} has ended by itself")

    def _note(self, failure: BaseException, pause_s: float) -> None:
        metrics.TASK_FAILURES.labels(self._label).inc()
        log.error("task_failed", task=self.name, error=type(failure).__name__, retry_s=pause_s, exc_info=failure)
        if not self._needed:
            return
        if self._failures >= MAX_FAILURES:
            self._end(failure)
            raise Fatal(f"{self.name} failed {self._failures} times in a row") from failure
        self._board.note_failing(self, self.name)

    def _end(self, reason: BaseException) -> None:
        log.critical("task_fatal", task=self.name, error=type(reason).__name__, exc_info=reason)
        self._board.end(reason)

    def _note_well(self) -> None:
        self._board.note_well(self)

    def _stop_settling(self) -> None:
        if self._settling:
            self._settling.cancel()
            self._settling = None


def _start(kept: _Kept) -> asyncio.Task[None]:
    return asyncio.create_task(kept.keep(), name=kept.name)


def _note_detached(label: str, task: asyncio.Task[Any]) -> None:
    failure = None if task.cancelled() else task.exception()
    if failure is not None:
        metrics.TASK_FAILURES.labels(label).inc()
        log.error("task_failed", task=task.get_name(), error=type(failure).__name__, exc_info=failure)
