"""Deletes what was kept for long enough."""

import structlog

from services.webhooks import metrics
from services.webhooks.core.model import DeliveryState
from services.webhooks.ports import Keeping

log = structlog.get_logger()

# Raising it keeps rows for longer than was asked; lowering it makes more queries that find nothing.
INTERVAL_S = 600.0
# Rows of one step. Raising it holds more locks for longer; lowering it takes more steps.
STEP = 2_000


class Purging:
    """For a PeriodicTask; replicas may do it side by side."""

    def __init__(self, store: Keeping, keep_s: float) -> None:
        self._store = store
        self._keep_s = keep_s

    async def purge(self) -> None:
        """Delete all that is due. Raises StoreUnavailable."""
        while await self._step() >= STEP:
            pass

    async def _step(self) -> int:
        purged = await self._store.purge(self._keep_s, STEP)
        for state, count in purged.items():
            metrics.PURGED.labels(state.name.lower()).inc(count)
        if lost := purged.get(DeliveryState.WAITING):
            log.error("webhooks_lost", deliveries=lost)
        return sum(purged.values())
