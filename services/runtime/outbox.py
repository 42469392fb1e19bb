"""The transactional outbox: events are written with the state they tell of, and published in order afterwards.

A row's shard comes from its key. Whoever publishes a shard holds its advisory lock for the length of one transaction,
so any replica can publish any shard at any time, no shard is owned by a dead replica, and the order within a key is
the order of its commits (writers of one key hold a row lock of their own from the insert to the commit).

Each service that has an outbox creates the table in its own first migration:

    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        shard smallint NOT NULL, topic text NOT NULL, key text NOT NULL, value bytea NOT NULL, trace text
    );
    CREATE INDEX outbox_by_shard ON outbox (shard, id);
"""

import asyncio
import zlib
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
import structlog

from services.runtime import metrics, tracing
from services.runtime.bus import Outgoing, Publisher
from services.runtime.db import Connection, Database
from services.runtime.errors import BusUnavailable, StoreUnavailable

log = structlog.get_logger()

SHARDS = 16
# Rows a transaction. Higher: fewer commits. Lower: less to repeat when the broker fails in the middle.
BATCH = 500
# How often rows that a dead replica left are looked for. Higher: they wait longer. Lower: more idle queries.
SWEEP_INTERVAL_S = 0.5
_LOCK_SPACE = 0x6F7574


def shard_of(key: str) -> int:
    """The shard of a key: stable over releases, because rows outlive them."""
    return zlib.crc32(key.encode()) % SHARDS


async def append(connection: Connection, order_key: str, records: Sequence[tuple[str, str, bytes]]) -> None:
    """Insert (topic, key, value) rows in the caller's transaction.

    `order_key` (the conversation, the call) gives the shard: all its events stay in order, whatever their Kafka keys.
    """
    await append_many(connection, [(order_key, *record) for record in records])


async def append_many(connection: Connection, records: Sequence[tuple[str, str, str, bytes]]) -> None:
    """Insert (order_key, topic, key, value) rows of several order keys in one statement."""
    trace = tracing.current_header()
    await connection.execute(
        "INSERT INTO outbox (shard, topic, key, value, trace)"
        " SELECT shard, topic, key, value, $5 FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bytea[])"
        " WITH ORDINALITY AS row (shard, topic, key, value, position) ORDER BY position",
        [shard_of(order_key) for order_key, _, _, _ in records],
        [topic for _, topic, _, _ in records],
        [key for _, _, key, _ in records],
        [value for _, _, _, value in records],
        trace,
    )


class OutboxRelay:
    """Publishes outbox rows: at once after a local commit (`wake`), and by sweeps for what others left."""

    name = "outbox-relay"

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher
        self._awake = [asyncio.Event() for _ in range(SHARDS)]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run_shard(shard), name=f"outbox-{shard}") for shard in range(SHARDS)]
        self._tasks.append(asyncio.create_task(self._sweep(), name="outbox-sweep"))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def wake(self, order_key: str) -> None:
        """Say that rows of this key were committed just now."""
        self._awake[shard_of(order_key)].set()

    async def publish_shard(self, shard: int) -> int:
        """Publish what stands in a shard, in order; rows go only after the broker's ack. Returns how many.

        Rows may be published twice (a crash between ack and commit). Errors: StoreUnavailable, BusUnavailable.
        """
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCK_SPACE, shard)
            # A statement of its own: its snapshot must be newer than the lock.
            rows = await connection.fetch(
                "SELECT id, topic, key, value, trace FROM outbox WHERE shard = $1 ORDER BY id LIMIT $2", shard, BATCH
            )
            if not rows:
                return 0
            await self._publisher.publish([_outgoing(row) for row in rows])
            # A lost delete only means that the rows are published again.
            await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", [row["id"] for row in rows])
        for row in rows:
            metrics.OUTBOX_PUBLISHED.labels(row["topic"]).inc()
        return len(rows)

    async def _run_shard(self, shard: int) -> None:
        awake = self._awake[shard]
        while True:
            await awake.wait()
            awake.clear()
            try:
                while await self.publish_shard(shard) == BATCH:
                    pass
            except (StoreUnavailable, BusUnavailable) as error:
                # The rows stay; the sweep finds them.
                log.warning("outbox_waiting", shard=shard, error=str(error))
            except Exception:
                # A shard that nobody publishes any more would be a silent loss; the sweep tries it again.
                log.exception("outbox_failed", shard=shard)

    async def _sweep(self) -> None:
        while True:
            try:
                async with self._database.connection() as connection:
                    rows = await connection.fetch("SELECT shard, count(*) AS backlog FROM outbox GROUP BY shard")
            except StoreUnavailable:
                rows = []
            except Exception:
                log.exception("outbox_sweep_failed")
                rows = []
            metrics.OUTBOX_BACKLOG.set(sum(row["backlog"] for row in rows))
            for row in rows:
                self._awake[row["shard"]].set()
            await asyncio.sleep(SWEEP_INTERVAL_S)


def _outgoing(row: asyncpg.Record) -> Outgoing:
    headers = ((tracing.HEADER, row["trace"].encode()),) if row["trace"] else ()
    return Outgoing(row["topic"], row["key"].encode(), row["value"], headers)
