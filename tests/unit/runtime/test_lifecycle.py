import asyncio

import pytest
from prometheus_client import REGISTRY

from services.runtime import lifecycle
from services.runtime.grpc.server import RpcServer
from services.runtime.lifecycle import WARM_UP_S, App, Probe, Readiness, Worker
from services.runtime.tasks import Fatal
from tests.support.waiting import until


def test_an_essential_dependency_makes_and_unmakes_readiness() -> None:
    readiness = Readiness({"database": True}, began=0)
    assert readiness.update({"database": False}, now=1) == ["database"]
    assert readiness.update({"database": True}, now=2) == []
    assert readiness.update({"database": False}, now=100) == ["database"]


def test_another_one_is_waited_for_at_the_start_and_never_again() -> None:
    readiness = Readiness({"database": True, "kafka": False}, began=0)
    assert readiness.update({"database": True, "kafka": False}, now=1) == ["kafka"]
    assert readiness.update({"database": True, "kafka": True}, now=2) == []
    assert readiness.update({"database": True, "kafka": False}, now=3) == []


def test_the_wait_for_another_one_ends() -> None:
    readiness = Readiness({"kafka": False}, began=0)
    assert readiness.update({"kafka": False}, now=WARM_UP_S) == ["kafka"]
    assert readiness.update({"kafka": False}, now=WARM_UP_S + 1) == []


class Recorder:
    """A part that writes down what happens to it."""

    def __init__(self, name: str, story: list[str], *, fails: bool = False) -> None:
        self.name = name
        self._story = story
        self._fails = fails

    async def start(self) -> None:
        if self._fails:
            raise RuntimeError(f"{self.name} cannot start")
        self._story.append(f"{self.name} started")

    async def stop(self) -> None:
        self._story.append(f"{self.name} stopped")


async def test_parts_start_in_order_and_stop_in_reverse() -> None:
    story: list[str] = []
    app = App([Recorder("a", story), Recorder("b", story)])
    await app.start()
    await app.stop()
    assert story == ["a started", "b started", "b stopped", "a stopped"]


async def test_a_part_that_cannot_start_leaves_nothing_running() -> None:
    story: list[str] = []
    app = App([Recorder("a", story), Recorder("b", story, fails=True), Recorder("c", story)])
    with pytest.raises(RuntimeError, match="b cannot start"):
        await app.start()
    assert story == ["a started", "a stopped"]


async def test_a_dependency_that_hangs_hides_nothing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "READY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(lifecycle, "READY_INTERVAL_S", 0.01)
    is_up = True

    async def hang() -> bool:
        await asyncio.Event().wait()
        return True

    async def answer() -> bool:
        return is_up

    def told(name: str) -> float | None:
        return REGISTRY.get_sample_value("service_ready", {"dependency": name})

    app = App([Probe("hanging", hang, essential=False), Probe("well", answer)])
    await app.start()
    try:
        await until(lambda: (told("hanging"), told("well")) == (0, 1), what="both states")
        is_up = False
        await until(lambda: told("well") == 0, what="the outage of the other")
    finally:
        await app.stop()


async def test_a_worker_that_cannot_go_on_is_the_end_of_the_service() -> None:
    async def fail() -> None:
        raise Fatal("the parent is gone")

    app = App([Worker("work", fail)])
    await app.start()
    assert isinstance(await app.failed(), Fatal)
    await app.stop()


class Moody(Recorder):
    """A dependency whose check raises what nobody foresaw, while `broken`."""

    essential = True

    def __init__(self, story: list[str]) -> None:
        super().__init__("moody", story)
        self.broken = True
        self.asked = 0
        self.ready_interval_s = 0.0

    async def ready(self) -> bool:
        self.asked += 1
        if self.broken:
            raise RuntimeError("the database was dropped")
        return True


async def test_a_check_that_raises_is_no_answer_and_is_asked_again() -> None:
    moody = Moody([])
    app = App([moody])
    await app.start()
    await until(lambda: moody.asked > 1, what="the next question")
    await app.stop()


async def test_one_that_costs_something_to_ask_is_asked_again_after_its_own_interval_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifecycle, "READY_INTERVAL_S", 0.0)
    monkeypatch.setattr(lifecycle, "UNREADY_INTERVAL_S", 0.0)
    cheap, dear = Moody([]), Moody([])
    dear.name = "dear"
    dear.ready_interval_s = 3_600.0
    app = App([cheap, dear])
    await app.start()
    await until(lambda: dear.asked > 2, what="questions until it can be used")
    cheap.broken = dear.broken = False
    await until(lambda: REGISTRY.get_sample_value("service_ready", {"dependency": "dear"}) == 1, what="a yes")
    asked, others = dear.asked, cheap.asked
    await until(lambda: cheap.asked > others + 2, what="questions of the other")
    assert dear.asked == asked
    await app.stop()


class BrokenServer(RpcServer):
    """A server that cannot say whether it is ready."""

    def __init__(self, story: list[str]) -> None:
        self._story = story
        self.told = asyncio.Event()

    async def start(self) -> None:
        self._story.append("rpc started")

    async def set_ready(self, ready: bool) -> None:
        self.told.set()
        raise RuntimeError("a bug")

    async def stop(self) -> None:
        self._story.append("rpc stopped")


async def test_the_parts_are_stopped_though_the_watch_has_failed() -> None:
    story: list[str] = []
    server = BrokenServer(story)
    app = App([Recorder("a", story)], server)
    await app.start()
    await server.told.wait()
    await asyncio.sleep(0)
    await app.stop()
    assert story == ["a started", "rpc started", "rpc stopped", "a stopped"]
