"""Notices at once that an SFU worker died: its health stream breaks off long before its announcements are missed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.auth import ServiceTokens
from services.runtime.errors import StoreUnavailable
from services.runtime.rpc import LIVENESS, connect
from services.signaling.core.model import Worker, WorkerId
from services.signaling.core.placement import NodeTable
from services.signaling.ports import WallClock

log = structlog.get_logger()

# How often the set of workers is compared. Higher: a new worker is unwatched for longer.
INTERVAL_S = 1.0


class WorkerWatch:
    """Holds a health stream to each live worker; `on_broken` looks at a worker whose stream broke off."""

    name = "worker-watch"

    def __init__(
        self,
        nodes: NodeTable,
        clock: WallClock,
        tokens: ServiceTokens,
        on_broken: Callable[[Worker], Awaitable[None]],
    ) -> None:
        self._nodes = nodes
        self._clock = clock
        self._tokens = tokens
        self._on_broken = on_broken
        self._watches: dict[WorkerId, tuple[Worker, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Watch for ever."""
        try:
            while True:
                await self._compare()
                await asyncio.sleep(INTERVAL_S)
        finally:
            for _, task in self._watches.values():
                await _cancel(task)

    async def _compare(self) -> None:
        live = {node.worker.worker_id: node.worker for node in self._nodes.live(self._clock.now())}
        for worker_id, (worker, task) in list(self._watches.items()):
            if live.get(worker_id) != worker or task.done():
                del self._watches[worker_id]
                await _cancel(task)
        for worker_id, worker in live.items():
            if worker_id not in self._watches:
                task = asyncio.create_task(self._watch(worker), name=f"watch-{worker_id}")
                self._watches[worker_id] = (worker, task)

    async def _watch(self, worker: Worker) -> None:
        async with connect(worker.address, self._tokens) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            with suppress(grpc.aio.AioRpcError):
                async for _ in stub.Watch(health_pb2.HealthCheckRequest(service=LIVENESS)):
                    continue
        with suppress(StoreUnavailable):
            # Else the next look at all workers finds it.
            await self._on_broken(worker)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
