"""What is remembered beside the routing: states go to the store and to the feed in batches, last-seen times come back.

None of it is on an event's way: while PostgreSQL or Kafka is away it waits here, the newest state of each user.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

import structlog

from services.presence import metrics
from services.presence.core.model import UserId
from services.presence.ports import StateFeed, StateRow, StateStore
from services.runtime import tasks
from services.runtime.errors import BusUnavailable, StatementCutOff, StoreUnavailable, is_outage
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# Users whose state may wait. Raising it takes more memory in a long outage; lowering it loses older states in one.
BACKLOG_LIMIT = 500_000
# Rows of a statement, and records of a batch. Raising it makes longer statements; lowering it makes more round trips.
BATCH = 2_000
# A batch that is cut off is tried again with so many times fewer rows. Raising it finds the faulty row in fewer steps;
# lowering it makes fewer of the other rows wait.
SMALLER = 8
# Rows that are put off until the next round. Raising it lets a locked table hold a round up for longer (each row takes
# up to 10 s); lowering it lets fewer faulty rows keep the others from being written.
MAX_PUT_OFF = 10
STOP_TIMEOUT_S = 2.0


class Backlog:
    """The newest state of each user that waits to be written, the oldest first."""

    def __init__(self, name: str, limit: int = BACKLOG_LIMIT) -> None:
        self._name = name
        self._limit = limit
        self._rows: dict[UserId, StateRow] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: StateRow) -> None:
        """Let a row wait, in place of an older one of the same user."""
        self._rows[row.user_id] = row
        if len(self._rows) > self._limit:
            del self._rows[next(iter(self._rows))]
            metrics.STATES_DROPPED.labels(self._name).inc()

    async def drain(self, write: Callable[[Sequence[StateRow]], Awaitable[None]]) -> None:
        """Write all that waits, in batches. What could not be written waits again, unless it is superseded.

        One row that the store cuts off while it serves others is found by smaller batches, and waits behind all others.
        """
        size, put_off = BATCH, 0
        while len(self._rows) > put_off:
            batch = [
                self._rows.pop(user_id) for user_id in list(islice(self._rows, min(size, len(self._rows) - put_off)))
            ]
            try:
                await write(batch)
            except BaseException as error:
                self._rows = {**{row.user_id: row for row in batch}, **self._rows}
                if not isinstance(error, StatementCutOff) or put_off == MAX_PUT_OFF or await is_outage(error):
                    raise
                log.exception("states_cut_off", rows=len(batch))
                if len(batch) == 1:
                    self._rows[batch[0].user_id] = self._rows.pop(batch[0].user_id)
                    put_off += 1
                size = max(1, len(batch) // SMALLER)
                continue
            metrics.STATES_WRITTEN.labels(self._name).inc(len(batch))
            size = min(size * SMALLER, BATCH)


class StateWriter:
    """A part of the service: writes each `interval_s` what has changed, and once more when it stops."""

    name = "state-writer"

    def __init__(self, store: StateStore, feed: StateFeed, interval_s: float) -> None:
        self.unsaved = Backlog("store")
        self.unpublished = Backlog("feed")
        self._store = store
        self._feed = feed
        self._interval_s = interval_s
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, row: StateRow) -> None:
        """A user's state changed."""
        self.unsaved.add(row)
        self.unpublished.add(row)

    async def start(self) -> None:
        self._tasks = [
            tasks.keep("states-save", partial(self._run, self.save)),
            tasks.keep("states-publish", partial(self._run, self.publish)),
        ]

    async def stop(self) -> None:
        await tasks.stop(*self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.save()
                await self.publish()

    async def save(self) -> None:
        """Write what waits for the store, unless it is away."""
        try:
            await self.unsaved.drain(self._store.save)
        except StoreUnavailable as error:
            log.warning("states_unsaved", waiting=len(self.unsaved), error=describe(error))

    async def publish(self) -> None:
        """Write what waits for the feed, unless it is away."""
        try:
            await self.unpublished.drain(self._feed.publish)
        except BusUnavailable as error:
            log.warning("states_unpublished", waiting=len(self.unpublished), error=describe(error))

    async def _run(self, write: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await write()
            except Exception:
                # One state that cannot be written must not end the writing of all others in silence.
                log.exception("states_failed")
