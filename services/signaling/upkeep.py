"""What happens to calls without anybody asking: timeouts, and workers that die."""

from dataclasses import dataclass
from datetime import timedelta

from services.signaling.changes import CallChanges
from services.signaling.core.errors import CallNotFound, Contended
from services.signaling.core.model import Call, CallId, CallState, Tick, Worker, WorkerLost
from services.signaling.core.placement import NodeTable
from services.signaling.ports import MediaWorkers, Store

# How long a replica that claimed a due call keeps it from others. Higher: a crash at that moment delays the call's
# end. Lower: a slow replica's calls are looked at twice, which is harmless.
CLAIM_LEASE = timedelta(seconds=5)
# Most calls a sweep takes. Higher: longer sweeps. Lower: a backlog lasts longer.
SWEEP_LIMIT = 200


@dataclass(frozen=True)
class Upkeep:
    """Ends what is due and notices lost workers. Safe from all replicas at once."""

    store: Store
    changes: CallChanges
    media: MediaWorkers
    nodes: NodeTable

    async def tick(self, call_id: CallId) -> None:
        """End the call if its time has come. Raises StoreUnavailable."""
        call = await self.store.find(call_id)
        if call is None or await self._must_wait(call):
            return
        try:
            await self.changes.apply(call_id, Tick())
        except (CallNotFound, Contended):
            # A call that changes that often will be looked at again by the next sweep.
            return

    async def sweep(self) -> None:
        """Look at all calls that are due, whoever was to do it. Raises StoreUnavailable."""
        for call_id in await self.store.claim_due(self.changes.clock.now(), CLAIM_LEASE, SWEEP_LIMIT):
            await self.tick(call_id)

    async def inspect_workers(self) -> None:
        """Take down the media of calls whose worker died without a word. Raises StoreUnavailable."""
        now = self.changes.clock.now()
        for worker in await self.store.list_workers():
            if not self.nodes.is_live(worker.worker_id, now) and not await self._is_reachable(worker):
                await self._lose(worker)

    async def count(self) -> None:
        """Measure how many calls ring and run. Raises StoreUnavailable."""
        self.changes.metrics.calls_counted(await self.store.count_by_state())

    async def _must_wait(self, call: Call) -> bool:
        """Whether missing media may be missing news: the broker is or was just away, while the worker is well."""
        if call.state is not CallState.ACTIVE or call.worker is None:
            return False
        if self.nodes.is_steady(call.worker.worker_id, self.changes.clock.now()):
            return False
        return await self._is_reachable(call.worker)

    async def _is_reachable(self, worker: Worker) -> bool:
        return await self.media.is_reachable(self.nodes.current(worker))

    async def _lose(self, worker: Worker) -> None:
        for call_id in await self.store.list_running_on(worker.worker_id, SWEEP_LIMIT):
            try:
                await self.changes.apply(call_id, WorkerLost(worker.worker_id))
            except (CallNotFound, Contended):
                continue
