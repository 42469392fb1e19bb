"""The collecting of what nobody needs any more."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from services.messaging import metrics
from services.messaging.attachments.core.uploads import PendingDelete
from services.messaging.attachments.ports import AttachmentStore, ObjectStore
from services.messaging.kernel.errors import ObjectsUnavailable
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable, is_outage
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# A round of collecting. Raising it holds locks longer and deletes more at once; lowering it takes more rounds after a
# busy hour.
COLLECT_BATCH = 100
DELETES_AT_ONCE = 8
# Between rounds that found little. Raising it leaves deleted files in the store for longer; lowering it makes more idle
# queries.
COLLECT_INTERVAL_S = 5.0
# What a dead collector had claimed is due again after this. Raising it makes them due later; lowering it may let two
# collectors delete the same objects, which does no harm.
CLAIM = timedelta(minutes=2)
# What could not be deleted is tried again after this.
RETRY = timedelta(seconds=30)
# Clocks differ: an address may be good a little longer than was meant.
CLOCK_SKEW = timedelta(minutes=5)


class Collector:
    """Deletes from the object store what is queued, and queues uploads that no message took. Any replica may run it."""

    def __init__(self, store: AttachmentStore, objects: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._objects = objects
        self._clock = clock

    async def run(self) -> None:
        """Collect for ever."""
        while True:
            try:
                found = await self.collect()
            except (StoreUnavailable, ObjectsUnavailable) as error:
                log.warning("collecting_waits", error=describe(error))
                found = 0
            except Exception:
                log.exception("collecting_failed")
                found = 0
            if found < COLLECT_BATCH:
                await asyncio.sleep(COLLECT_INTERVAL_S)

    async def collect(self) -> int:
        """One round; how much it found. Errors: StoreUnavailable."""
        now = self._clock.now()
        try:
            unused = await self._store.queue_unused(now, COLLECT_BATCH)
        except StoreUnavailable as error:
            if await is_outage(error):
                raise
            # What is queued already is deleted all the same.
            log.exception("deleting_cut_off")
            unused = 0
        pending = await self._store.claim_deletes(now, now + CLAIM, COLLECT_BATCH)
        if pending:
            await self._delete(pending, now)
        return max(unused, len(pending))

    async def _delete(self, pending: Sequence[PendingDelete], now: datetime) -> None:
        slots = asyncio.Semaphore(DELETES_AT_ONCE)

        async def delete(each: PendingDelete) -> datetime | None:
            """When the object is due again; None when it is gone for good."""
            async with slots:
                try:
                    await self._objects.delete(each.object_key)
                except ObjectsUnavailable:
                    return now + RETRY
            return each.put_until + CLOCK_SKEW if each.put_until > now - CLOCK_SKEW else None

        due_again = await asyncio.gather(*(delete(each) for each in pending))
        results = dict(zip((each.object_key for each in pending), due_again, strict=True))
        gone = [key for key, due_at in results.items() if due_at is None]
        await self._store.forget_deletes(gone)
        await self._store.postpone_deletes({key: due_at for key, due_at in results.items() if due_at is not None})
        metrics.OBJECTS_DELETED.inc(len(gone))
