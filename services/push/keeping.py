"""Forgets what was kept for long enough."""

from services.push.ports import Keeping

# Raising it keeps rows for longer than was asked; lowering it makes more queries that find nothing.
INTERVAL_S = 3_600.0
# Rows of one step. Raising it holds more locks for longer; lowering it takes more steps.
STEP = 2_000


class Purging:
    """For a PeriodicTask; replicas may do it side by side."""

    def __init__(self, store: Keeping, keep_s: float) -> None:
        self._store = store
        self._keep_s = keep_s

    async def purge(self) -> None:
        """Forget all that is due. Raises StoreUnavailable."""
        while await self._store.purge(self._keep_s, STEP) >= STEP:
            pass
