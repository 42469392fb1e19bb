"""How a worker's death is noticed: by what it breaks off, and by its silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.clock import Clock, SystemClock
from services.signaling.core.model import Worker, WorkerId
from services.signaling.core.placement import PlacementPolicy, WorkerTable
from services.signaling.worker_health import WorkerHealth
from tests.integration.signaling.neighbours import tokens_of
from tests.support.clock import ManualClock
from tests.support.waiting import until
from tests.unit.signaling.fakes import announcement

SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


class Health(health_pb2_grpc.HealthServicer):
    """A worker's health: its stream stays open, and while `hangs` it answers nobody."""

    def __init__(self) -> None:
        self.hangs = False
        self.watched = 0
        self.asked = 0

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        return SERVING

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        self.watched += 1
        yield SERVING
        await asyncio.Event().wait()


class Street:
    """One worker that answers, the table that knows it, and what the watch said of it."""

    def __init__(self) -> None:
        self.health = Health()
        self.server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        self.worker = Worker(WorkerId("sfu-1"), f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}")
        self.workers = WorkerTable()
        self.workers.announce(announcement(self.worker, datetime.now(UTC)))
        self.broken: list[Worker] = []
        self.looked: list[Worker] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def on_broken(self, worker: Worker) -> None:
        self.broken.append(worker)
        self.workers.remove(worker.worker_id)
        await self.may_end.wait()
        self.looked.append(worker)

    async def until_watched(self) -> None:
        await until(lambda: self.health.watched and self.health.asked, what="the watch")

    async def until_looked(self) -> None:
        await until(lambda: self.looked == [self.worker], what="the look")


@asynccontextmanager
async def watching(street: Street, clock: Clock | None = None) -> AsyncIterator[None]:
    await street.server.start()
    watch = WorkerHealth(street.workers, clock or SystemClock(), tokens_of("signaling"), street.on_broken)
    task = asyncio.create_task(watch.run())
    try:
        await street.until_watched()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def street() -> AsyncIterator[Street]:
    made = Street()
    yield made
    await made.server.stop(None)


async def test_a_worker_that_breaks_off_is_looked_at(street: Street) -> None:
    async with watching(street):
        await street.server.stop(None)
        await street.until_looked()


async def test_a_worker_that_holds_its_connections_and_answers_nobody_is_looked_at(street: Street) -> None:
    async with watching(street):
        street.health.hangs = True
        await street.until_looked()


async def test_a_worker_that_answers_is_left_alone(street: Street) -> None:
    async with watching(street):
        seen = street.health.asked
        await until(lambda: street.health.asked > seen + 1, what="the next questions")
        assert street.broken == []


async def test_one_that_answers_takes_calls_though_nothing_is_heard_of_it(street: Street) -> None:
    clock = ManualClock(datetime.now(UTC))
    async with watching(street, clock):
        # Together longer than an announcement counts.
        for _ in range(2):
            clock.advance(0.6 * PlacementPolicy.lost_after_s)
            seen = street.health.asked
            await until(lambda seen=seen: street.health.asked > seen + 1, what="the next answers")
        assert street.workers.live(clock.now()) == []
        assert street.workers.choose(2, clock.now()) == street.worker


async def test_a_look_goes_on_when_its_worker_is_forgotten(street: Street) -> None:
    async with watching(street):
        street.may_end.clear()
        await street.server.stop(None)
        await until(lambda: street.broken, what="the look's beginning")
        # The next worker is watched: the watch has compared since, and found the first one gone.
        other = Street()
        street.workers.announce(announcement(Worker(WorkerId("sfu-2"), other.worker.address), datetime.now(UTC)))
        await other.server.start()
        await other.until_watched()
        assert street.looked == []
        street.may_end.set()
        await street.until_looked()
        await other.server.stop(None)
