import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.runtime import tasks
from services.runtime.lifecycle import App, Worker
from services.runtime.tasks import MAX_FAILURES, Board, Fatal
from tests.support.waiting import until, within


class Panic(BaseException):
    """As the panics of libraries in Rust, which are no Exception."""


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    """The board of the tasks of this test, which are tried again at once."""
    monkeypatch.setattr(tasks, "next_pause_s", lambda _pause_s, _ran_s: 0.0)
    made = Board()
    tasks.use(made)
    return made


def failures(label: str) -> float:
    return REGISTRY.get_sample_value("background_task_failures_total", {"task": label}) or 0.0


class Faulty:
    """Fails as told, once a try, then stays."""

    def __init__(self, *ends: Callable[[], None]) -> None:
        self._ends = list(ends)
        self.tries = 0

    async def run(self) -> None:
        self.tries += 1
        if self._ends:
            self._ends.pop(0)()
        else:
            await asyncio.Event().wait()


def raising(error: BaseException) -> Callable[[], None]:
    def end() -> None:
        raise error

    return end


def returning() -> None:
    """A task that was to run for ever has an end."""


@pytest.mark.parametrize(
    "end",
    [raising(ValueError("a bug")), raising(asyncio.CancelledError()), raising(Panic("panic")), returning],
    ids=["raises", "is cancelled by what it awaits", "panics", "returns"],
)
async def test_whatever_ends_a_task_is_counted_and_the_task_begins_again(board: Board, end: Callable[[], None]) -> None:
    faulty, before = Faulty(end), failures("odd")
    task = tasks.keep("odd-1", faulty.run, label="odd")
    await until(lambda: faulty.tries == 2, what="the second try")
    assert failures("odd") == before + 1
    assert board.failing() == []
    assert not task.done()
    await tasks.stop(task)


async def test_a_needed_task_that_fails_is_told_of_until_it_has_settled(board: Board) -> None:
    faulty = Faulty(raising(ValueError("a bug")))
    task = tasks.keep("needed", faulty.run, needed=True)
    await until(lambda: board.failing() == ["needed"], what="the failure")
    await until(lambda: board.failing() == [], what="the end of it")
    await tasks.stop(task)


async def test_a_needed_task_that_fails_again_and_again_ends_the_process(board: Board) -> None:
    bugs = [ValueError(str(number)) for number in range(MAX_FAILURES)]
    task = tasks.keep("needed", Faulty(*map(raising, bugs)).run, needed=True)
    assert await within(board.fatal(), 10) is bugs[-1]
    with pytest.raises(Fatal):
        await task


async def test_a_fatal_failure_ends_the_process_at_once(board: Board) -> None:
    faulty = Faulty(raising(Fatal("changed since")))
    task = tasks.retry("any", faulty.run)
    assert str(await within(board.fatal(), 10)) == "changed since"
    with pytest.raises(Fatal):
        await task
    assert faulty.tries == 1


async def test_a_task_that_has_done_what_it_had_to_is_not_begun_again(board: Board) -> None:
    faulty = Faulty(raising(OSError("away")), returning)
    await within(tasks.retry("once", faulty.run), 10)
    assert (faulty.tries, board.failing()) == (2, [])


async def test_our_own_cancel_is_no_failure(board: Board) -> None:
    before, faulty = failures("own"), Faulty()
    task = tasks.keep("own", faulty.run, needed=True)
    await until(lambda: faulty.tries == 1)
    await tasks.stop(task)
    assert (failures("own"), board.failing(), task.cancelled()) == (before, [], True)


async def test_who_is_cancelled_while_it_stops_another_task_is_cancelled(board: Board) -> None:
    may_end = asyncio.Event()

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()

    slow = tasks.keep("slow", slow_to_end)
    await asyncio.sleep(0)
    stopping = tasks.awaited(tasks.stop(slow), why="cancelled below")
    await until(lambda: slow.cancelling(), what="the cancellation")
    stopping.cancel()
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.wait([stopping, slow])
    assert stopping.cancelled()


async def test_the_failure_of_a_detached_task_is_counted(board: Board) -> None:
    async def fail() -> None:
        raise ValueError("a bug")

    before = failures("loose")
    task = tasks.detached(fail(), name="loose-1", label="loose", why="it fails at once")
    await asyncio.wait([task])
    await until(lambda: failures("loose") == before + 1, what="the count")


class Server:
    """What the readiness watch needs of an RpcServer."""

    name = "rpc"

    def __init__(self) -> None:
        self.said: list[bool] = []
        self.failures = 0

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def set_ready(self, ready: bool) -> None:
        if ready and self.failures:
            self.failures -= 1
            raise RuntimeError("a bug")
        self.said.append(ready)


class Store:
    """A dependency that answers as told."""

    name = "store"
    essential = True

    def __init__(self) -> None:
        self.answer: Callable[[], Coroutine[Any, Any, bool]] = self.yes

    async def yes(self) -> bool:
        return True

    async def fail(self) -> bool:
        raise ValueError("password authentication failed")

    async def cancel(self) -> bool:
        raise asyncio.CancelledError

    async def hang(self) -> bool:
        return bool(await asyncio.Event().wait())

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def ready(self) -> bool:
        return await self.answer()


@pytest.mark.parametrize("way", ["fail", "cancel", "hang"])
async def test_a_dependency_that_cannot_even_say_is_away_until_it_can(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("services.runtime.lifecycle.READY_INTERVAL_S", 0.01)
    monkeypatch.setattr("services.runtime.lifecycle.READY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(tasks, "MAX_FAILURES", 1_000)
    server, store = Server(), Store()
    app = App([store], server)  # type: ignore[arg-type]
    await app.start()
    await until(lambda: server.said[-1:] == [True], what="ready")
    store.answer = getattr(store, way)
    await until(lambda: server.said[-1:] == [False], what="not ready")
    store.answer = store.yes
    await until(lambda: server.said[-1:] == [True], what="ready again")
    await app.stop()


async def test_readiness_survives_its_own_failure() -> None:
    server = Server()
    server.failures = 1
    app = App([Store()], server)  # type: ignore[arg-type]
    await app.start()
    await until(lambda: server.said[-1:] == [True], what="ready")
    assert False in server.said
    await app.stop()


async def test_a_service_is_not_ready_while_a_needed_worker_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.lifecycle.READY_INTERVAL_S", 0.01)
    monkeypatch.setattr(tasks, "next_pause_s", lambda _pause_s, _ran_s: 0.5)
    monkeypatch.setattr(tasks, "SETTLED_S", 0.1)
    server, ends = Server(), asyncio.Event()

    async def work() -> None:
        await ends.wait()
        ends.clear()
        raise ValueError("a bug")

    app = App([Worker("work", work, needed=True)], server)  # type: ignore[arg-type]
    await app.start()
    await until(lambda: server.said[-1:] == [True], what="ready")
    ends.set()
    await until(lambda: server.said[-1:] == [False], what="not ready")
    await until(lambda: server.said[-1:] == [True], what="ready again")
    await app.stop()
