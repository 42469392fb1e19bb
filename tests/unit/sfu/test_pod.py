import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest, start_http_server
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from services.runtime.env import ConfigError
from services.sfu.core.ids import WorkerId
from services.sfu.pod.config import PodConfig, WorkerSpec
from services.sfu.pod.exposition import WorkerCollector
from services.sfu.pod.supervisor import MAX_SILENCES, Pod
from tests.integration.sfu.conftest import environment
from tests.support.clock import ManualClock
from tests.support.waiting import until


def spec(name: str, metrics_address: str = "127.0.0.1:1") -> WorkerSpec:
    return WorkerSpec(WorkerId(name), "127.0.0.1:1", metrics_address, {})


class FakeProcess:
    """A worker that ends when the test, or the pod, says so."""

    def __init__(self, pid: int, drains: bool) -> None:
        self.pid = pid
        self.was: list[str] = []
        self.ends_late = False
        self._drains = drains
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def die(self, status: int) -> None:
        if not self._status.done():
            self._status.set_result(status)

    def terminate(self) -> None:
        self.was.append("terminated")
        if self._drains:
            self.die(0)

    def kill(self) -> None:
        """As asyncio does of a process that it has waited for, when the pod has not been told yet: `ends_late`."""
        self.was.append("killed")
        if not self.ends_late:
            self.die(-9)
        elif len(self.was) > 1:
            raise ProcessLookupError

    async def wait(self) -> int:
        return await asyncio.shield(self._status)


@dataclass
class Machine:
    """Where the pod's workers run. `serving` answers the health checks of a worker."""

    launched: list[tuple[str, FakeProcess]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    serving: Callable[[str], bool] = lambda _: True
    drains: bool = True

    def pod(self, *names: str, stop_timeout_s: float = 5) -> Pod:
        specs = [spec(name) for name in names]
        return Pod(specs, self._launch, self._check, self._announce_gone, ManualClock(), stop_timeout_s, 0.001)

    async def _launch(self, worker: WorkerSpec) -> FakeProcess:
        self.told.append(f"start {worker.worker_id}")
        process = FakeProcess(len(self.launched), self.drains)
        self.launched.append((worker.worker_id, process))
        return process

    async def _check(self, worker: WorkerSpec, _: str) -> bool:
        return self.serving(worker.worker_id)

    async def _announce_gone(self, worker_id: WorkerId) -> None:
        self.told.append(f"gone {worker_id}")


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    machine = Machine()
    yield machine
    for _, process in machine.launched:
        process.die(0)


async def test_a_worker_that_dies_is_announced_as_gone_and_then_replaced(machine: Machine) -> None:
    pod = machine.pod("w-0", "w-1")
    await pod.start()
    await until(lambda: len(machine.launched) == 2, what="both run")
    machine.launched[0][1].die(-9)
    await until(lambda: len(machine.launched) == 3, what="it is replaced")
    assert machine.told[-2:] == ["gone w-0", "start w-0"]
    assert machine.launched[1][1].was == []
    await pod.stop()


async def test_a_worker_that_hangs_is_killed_and_replaced(machine: Machine) -> None:
    hangs = {"w-0": False}
    machine.serving = lambda name: not hangs[name]
    pod = machine.pod("w-0")
    await pod.start()
    await until(lambda: machine.launched, what="it runs")
    # It has answered before: else it would count as one that only starts slowly.
    asked: list[str] = []
    machine.serving = lambda name: not asked.append(name)  # type: ignore[func-returns-value]
    await until(lambda: asked, what="it has answered")
    machine.serving = lambda _: False
    await until(lambda: len(machine.launched) == 2, what="it is replaced")
    assert machine.launched[0][1].was[0] == "killed"
    await pod.stop()


async def test_a_worker_whose_end_is_told_late_takes_no_other_worker_with_it(machine: Machine) -> None:
    asked: list[str] = []
    machine.serving = lambda name: not asked.append(name)  # type: ignore[func-returns-value]
    pod = machine.pod("w-0", "w-1")
    await pod.start()
    await until(lambda: {"w-0", "w-1"} <= set(asked), what="both have answered")
    hanging = machine.launched[0][1]
    hanging.ends_late = True
    machine.serving = lambda name: name != "w-0"
    await until(lambda: len(hanging.was) > 1, what="it is killed once more, although it is gone")
    hanging.die(-9)
    await until(lambda: len(machine.launched) == 3, what="it is replaced")
    assert machine.launched[1][1].was == []
    await pod.stop()


async def test_a_worker_that_starts_slowly_is_left_in_peace(machine: Machine) -> None:
    asked: list[str] = []
    machine.serving = lambda name: bool(asked.append(name))  # type: ignore[func-returns-value]
    pod = machine.pod("w-0")
    await pod.start()
    await until(lambda: len(asked) > 3 * MAX_SILENCES, what="it was asked often")
    assert machine.launched[0][1].was == []
    await pod.stop()


async def test_a_stop_lets_all_workers_drain(machine: Machine) -> None:
    pod = machine.pod("w-0", "w-1")
    await pod.start()
    await until(lambda: len(machine.launched) == 2, what="both run")
    await pod.stop()
    assert [process.was for _, process in machine.launched] == [["terminated"], ["terminated"]]
    assert len(machine.launched) == 2


async def test_who_does_not_drain_in_time_is_killed_and_announced_as_gone(machine: Machine) -> None:
    machine.drains = False
    pod = machine.pod("w-0", stop_timeout_s=0.01)
    await pod.start()
    await until(lambda: machine.launched, what="it runs")
    await pod.stop()
    assert machine.launched[0][1].was == ["terminated", "killed"]
    assert machine.told[-1] == "gone w-0"


async def test_a_pod_is_ready_while_one_of_its_workers_is(machine: Machine) -> None:
    pod = machine.pod("w-0", "w-1")
    machine.serving = lambda name: name == "w-1"
    assert await pod.ready()
    machine.serving = lambda _: False
    assert not await pod.ready()


def test_each_worker_has_ports_and_a_name_of_its_own() -> None:
    more = {
        "PARLEY_SFU_WORKERS": "3",
        "PARLEY_SFU_WORKER_ID": "node-a",
        "PARLEY_SFU_UDP_ADDRESS": "0.0.0.0:7800",
        "PARLEY_GRPC_ADDRESS": "0.0.0.0:7000",
        "PARLEY_SFU_GRPC_ADVERTISED": "10.0.0.9:7000",
        "PARLEY_METRICS_ADDRESS": "0.0.0.0:9100",
    }
    workers = PodConfig.from_env(environment(**more)).workers
    assert [worker.worker_id for worker in workers] == ["node-a-0", "node-a-1", "node-a-2"]
    last: Any = workers[2].env
    assert last["PARLEY_SFU_WORKERS"] == "1"
    assert last["PARLEY_SFU_UDP_ADDRESS"] == "0.0.0.0:7802"
    assert last["PARLEY_GRPC_ADDRESS"] == "0.0.0.0:7003"
    assert last["PARLEY_HEALTH_ADDRESS"] == "0.0.0.0:7203"
    assert last["PARLEY_SFU_GRPC_ADVERTISED"] == "10.0.0.9:7003"
    assert (workers[2].grpc_address, workers[2].metrics_address) == ("127.0.0.1:7003", "127.0.0.1:9103")


def test_a_faulty_number_of_workers_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="PARLEY_SFU_WORKERS"):
        PodConfig.from_env(environment(PARLEY_SFU_WORKERS="none"))


def test_the_metrics_of_all_workers_stand_in_one_answer_told_apart() -> None:
    registry = CollectorRegistry()
    Gauge("sfu_participants", "Participants of the worker.", registry=registry).set(7)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    address = f"127.0.0.1:{server.server_port}"
    pod = CollectorRegistry()
    pod.register(WorkerCollector([spec("w-0", address), spec("w-1", address), spec("dead", "127.0.0.1:1")]))
    for text in (generate_latest(pod).decode(), generate_openmetrics(pod).decode()):
        assert 'sfu_participants{worker="0"} 7.0' in text
        assert 'sfu_participants{worker="1"} 7.0' in text
        assert 'worker="2"' not in text
        assert text.count("# TYPE sfu_participants ") == 1
    server.shutdown()
    thread.join()
