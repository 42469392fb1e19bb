"""What happens to calls without a request: timeouts, and old calls that are deleted."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.runtime.errors import StoreUnavailable, is_outage
from services.signaling import metrics
from services.signaling.changes import CallChanges
from services.signaling.core.errors import CallNotFound, Contended
from services.signaling.core.inputs import DeviceReturned, Tick, WorkerRecovered
from services.signaling.core.model import Call, CallId, CallState, Worker
from services.signaling.core.placement import WorkerTable
from services.signaling.core.table import MEDIA_MISSING, SOME_MEDIA_MISSING, find_row
from services.signaling.ports import Devices, MediaWorkers, Store

log = structlog.get_logger()

# How long a replica that claimed a due call keeps it from others. Raising it delays the call's end when the replica
# crashes at that moment; lowering it lets two replicas look at one call, which is harmless.
CLAIM_LEASE = timedelta(seconds=5)
# Calls that one sweep takes. Raising it makes longer sweeps; lowering it makes a backlog last longer.
SWEEP_LIMIT = 200
# Calls that one transaction deletes. Raising it makes longer locks; lowering it makes more transactions.
PRUNE_LIMIT = 500


@dataclass(frozen=True)
class Upkeep:
    """Ends what is due and forgets what is old. Safe from all replicas at once."""

    store: Store
    changes: CallChanges
    media: MediaWorkers
    devices: Devices
    workers: WorkerTable
    retention: timedelta

    async def tick(self, call_id: CallId) -> None:
        """End the call if its time has come. Raises StoreUnavailable."""
        call = await self.store.find(call_id)
        if call is None or await self._must_wait(call):
            return
        try:
            for found in self._found_again(call):
                await self.changes.apply(call_id, WorkerRecovered(found))
            for returned in await self._returned(call):
                await self.changes.apply(call_id, returned)
            await self.changes.apply(call_id, Tick())
        except (CallNotFound, Contended):
            # A call that changes that often will be looked at again by the next sweep.
            return

    async def sweep(self) -> None:
        """Look at all calls that are due, whichever replica was to do it. Raises StoreUnavailable."""
        for call_id in await self.store.claim_due(self.changes.clock.now(), CLAIM_LEASE, SWEEP_LIMIT):
            try:
                await self.tick(call_id)
            except StoreUnavailable as error:
                if await is_outage(error):
                    raise
                log.exception("upkeep_failed", call_id=call_id)
            except Exception:
                # One call that cannot be looked at must not keep the others from it.
                log.exception("upkeep_failed", call_id=call_id)

    async def prune(self) -> None:
        """Forget calls that ended too long ago. Raises StoreUnavailable."""
        before = self.changes.clock.now() - self.retention
        while await self.store.prune(before, PRUNE_LIMIT) == PRUNE_LIMIT:
            continue

    async def count(self) -> None:
        """Measure how many calls ring and run. Raises StoreUnavailable."""
        by_state = await self.store.count_by_state()
        for state in (CallState.RINGING, CallState.ACTIVE):
            metrics.CALLS.labels(state.value).set(by_state.get(state, 0))

    def _found_again(self, call: Call) -> list[Worker]:
        """The call's workers that were given up while they stalled and announce themselves again: nothing was lost."""
        now = self.changes.clock.now()
        suspected = {call.worker_of(leg) for leg in call.legs if leg.media_up and leg.media_deadline}
        known = [self.workers.find(worker.worker_id, now) for worker in suspected if worker]
        return [announcement.worker for announcement in known if announcement]

    async def _returned(self, call: Call) -> list[DeviceReturned]:
        """The devices that were to be closed for too long by now, and are there."""
        now = self.changes.clock.now()
        asked = [(leg.user_id, leg.device_id) for leg in call.legs if leg.device_id and leg.is_closed(now)]
        return [DeviceReturned(*device) for device in asked if await self.devices.closed_for(*device) is None]

    async def _must_wait(self, call: Call) -> bool:
        """Whether missing media may be missing news: the broker is or was just away, while the worker is well."""
        now = self.changes.clock.now()
        if find_row(call, Tick(), now) not in (MEDIA_MISSING, SOME_MEDIA_MISSING):
            return False
        silent = dict.fromkeys(call.worker_of(leg) for leg in call.legs if leg.is_overdue(now))
        for worker in silent:
            is_steady = worker is None or self.workers.is_steady(worker.worker_id, now)
            if not is_steady and worker and await self.media.is_reachable(self.workers.current(worker)):
                return True
        return False
