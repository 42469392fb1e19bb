"""Notices that an SFU worker died, long before its announcements are missed, and that it lives while they are.

The health stream of a process that dies breaks off at once. A process that hangs, or whose host or network is gone,
breaks nothing off, but does not answer: so each worker is also asked again and again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.grpc.channels import connect
from services.runtime.grpc.server import LIVENESS
from services.runtime.grpc.tls import Peer
from services.runtime.identity.auth import ServiceTokens
from services.signaling.core.model import Worker, WorkerId
from services.signaling.core.placement import WorkerTable

log = structlog.get_logger()

# How often the set of workers is compared. Raising it leaves a new worker unwatched for longer; lowering it costs
# processor time.
INTERVAL_S = 1.0
# How often a worker is asked, and how long it may take. With the last look (PROBE_TIMEOUT_S) they make the time after
# which a silent worker's calls move, below 5 s. Raising them leaves the calls silent for longer; lowering them takes
# its calls from a worker that stalls for a moment, and many replicas ask it a lot.
BEAT_S = 1.0
BEAT_TIMEOUT_S = 1.5


class WorkerHealth:
    """Holds a health stream to each live worker and asks it; `on_broken` looks at one that broke off or is silent."""

    name = "worker-watch"

    def __init__(
        self,
        workers: WorkerTable,
        clock: Clock,
        tokens: ServiceTokens,
        on_broken: Callable[[Worker], Awaitable[None]],
        peer: Peer | None = None,
    ) -> None:
        self._workers = workers
        self._clock = clock
        self._tokens = tokens
        self._on_broken = on_broken
        self._peer = peer
        self._watches: dict[WorkerId, tuple[Worker, asyncio.Task[None]]] = {}
        # Apart from the watches: a look forgets the worker, and must not end with its watch before all calls are moved.
        self._looks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Watch for ever."""
        try:
            while True:
                await self._compare()
                await asyncio.sleep(INTERVAL_S)
        finally:
            await tasks.stop(*(task for _, task in self._watches.values()), *self._looks)

    async def _compare(self) -> None:
        present = self._workers.present(self._clock.now())
        live = {announcement.worker.worker_id: announcement.worker for announcement in present}
        for worker_id, (worker, task) in list(self._watches.items()):
            if live.get(worker_id) != worker or task.done():
                del self._watches[worker_id]
                await tasks.stop(task)
        for worker_id, worker in live.items():
            if worker_id not in self._watches:
                task = tasks.retry(f"watch-{worker_id}", partial(self._watch, worker), label="watch-worker")
                self._watches[worker_id] = (worker, task)

    async def _watch(self, worker: Worker) -> None:
        async with connect(worker.address, self._tokens, self._peer, fresh=True) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            signs = [
                tasks.awaited(sign, why="ends with the watch of its worker")
                for sign in (_until_closed(stub), self._until_silent(stub, worker))
            ]
            try:
                await asyncio.wait(signs, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await tasks.stop(*signs)
        look = tasks.detached(
            self._look(worker), name=f"look-{worker.worker_id}", label="look-at-worker", why="ends with one look"
        )
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _until_silent(self, stub: Any, worker: Worker) -> None:
        with suppress(grpc.aio.AioRpcError):
            while True:
                await stub.Check(health_pb2.HealthCheckRequest(service=LIVENESS), timeout=BEAT_TIMEOUT_S)
                self._workers.note_answered(worker, self._clock.now())
                await asyncio.sleep(BEAT_S)

    async def _look(self, worker: Worker) -> None:
        with suppress(StoreUnavailable):
            # Else the next look at all workers finds it.
            await self._on_broken(worker)


async def _until_closed(stub: Any) -> None:
    with suppress(grpc.aio.AioRpcError):
        async for _ in stub.Watch(health_pb2.HealthCheckRequest(service=LIVENESS)):
            continue
