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
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from typing import cast

import asyncpg
import structlog

from services.runtime import tasks
from services.runtime.errors import BusUnavailable, RecordRefused, StoreUnavailable
from services.runtime.kafka.bus import Outgoing, Publisher, trace_headers
from services.runtime.kafka.dead_letters import dead_letter, post
from services.runtime.observability import metrics, tracing
from services.runtime.observability.failures import describe
from services.runtime.postgres.database import Connection, Database

log = structlog.get_logger()

SHARDS = 16
# Shards of one lane share a transaction when they wake together. Raising it makes more transactions for the same rows;
# lowering it makes a shard wait for what another replica does with its neighbours.
LANES = 2
# Rows in a transaction. Raising it makes fewer commits; lowering it repeats less when the broker fails in the middle.
BATCH = 500
# How long rows wait whose deliveries were handed over directly: nobody waits for them but other systems, and whoever
# the direct way missed. Raising it makes fewer transactions, requests to the broker, and batches for all that read the
# topics; lowering it is sooner there when the direct way fails.
LEISURE_S = 0.25
# How often we look for rows that a dead replica left, or that could not be published: at first, and at most while there
# are none. Raising them makes such rows wait longer; lowering them makes more idle queries.
SWEEP_INTERVAL_S = 1.0
IDLE_SWEEP_INTERVAL_S = 5.0
_LOCK_SPACE = 0x6F7574

# Whatever the limit cuts off, each shard's rows are taken from its oldest on.
_SELECT = "SELECT id, topic, key, value, trace FROM outbox WHERE shard = ANY($1::smallint[]) ORDER BY id LIMIT $2"


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
    await connection.execute(insertion(1), *columns(records))


def insertion(first: int, condition: str = "true") -> str:
    """The statement that inserts rows, for use within a larger one; `columns` are its parameters from $first on.

    `condition` says of which rows, by shard, topic and key.
    """
    shard, topic, key, value, trace = (f"${number}" for number in range(first, first + 5))
    return (
        "INSERT INTO outbox (shard, topic, key, value, trace) SELECT shard, topic, key, value, trace"  # noqa: S608
        f" FROM unnest({shard}::smallint[], {topic}::text[], {key}::text[], {value}::bytea[], {trace}::text[])"
        f" WITH ORDINALITY AS added (shard, topic, key, value, trace, position) WHERE {condition} ORDER BY position"
    )


def columns(records: Sequence[tuple[str, str, str, bytes]], traces: Sequence[str] = ()) -> tuple[object, ...]:
    """The parameters of `insertion` for (order_key, topic, key, value) rows.

    `traces` has the `traceparent` of each, where they do not all belong to what runs now.
    """
    return (
        [shard_of(order_key) for order_key, _, _, _ in records],
        [topic for _, topic, _, _ in records],
        [key for _, _, key, _ in records],
        [value for _, _, _, value in records],
        [trace or None for trace in traces] or [tracing.current_header()] * len(records),
    )


class _Lane:
    """Shards that are published together, since they have new rows at the same time, or within `delay_s`."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s
        self._awake: set[int] = set()
        self._changed = asyncio.Event()

    def wake(self, shard: int) -> None:
        self._awake.add(shard)
        self._changed.set()

    async def next_shards(self) -> list[int]:
        """The shards that were woken since the last time; waits until there are some."""
        await self._changed.wait()
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        self._changed.clear()
        shards = sorted(self._awake)
        self._awake.clear()
        return shards


class OutboxRelay:
    """Publishes outbox rows: after a local commit (`wake`, `committed`), and by sweeps for what others left.

    `expand` gives the records that follow from one and are published with it, right after it. `hand_over` takes what a
    committed record brings about to whoever waits for it, and says whether all of it found a way.
    """

    name = "outbox-relay"

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        expand: Callable[[Outgoing], Sequence[Outgoing]] = lambda _: (),
        hand_over: Callable[[Outgoing], bool] = lambda _: False,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._expand = expand
        self._hand_over = hand_over
        self._lanes = [_Lane() for _ in range(LANES)]
        # Of all shards, so that what waited is one transaction.
        self._at_leisure = _Lane(LEISURE_S)
        self._tasks: list[asyncio.Task[None]] = []
        # Rows were left that this replica knows of.
        self._left = asyncio.Event()

    async def start(self) -> None:
        self._tasks = [
            tasks.keep(f"outbox-{number}", partial(self._run_lane, lane), label="outbox-lane")
            for number, lane in enumerate([*self._lanes, self._at_leisure])
        ]
        self._tasks.append(tasks.keep("outbox-sweep", self._sweep))

    async def stop(self) -> None:
        await tasks.stop(*self._tasks)

    def wake(self, order_key: str) -> None:
        """Say that rows of this key were committed just now."""
        self._wake_shard(shard_of(order_key))

    def committed(self, records: Sequence[tuple[str, str, str, bytes]], traces: Sequence[str] = ()) -> None:
        """Say that these rows, as in `append_many`, were committed just now, in this order; `traces` as in `columns`.

        Nobody waits for those that could be handed over: they are published at leisure.
        """
        for (order_key, topic, key, value), trace in zip_longest(records, traces):
            headers = trace_headers(trace or tracing.current_header())
            if self._finds_a_way(Outgoing(topic, key.encode(), value, headers)):
                self._at_leisure.wake(shard_of(order_key))
            else:
                self.wake(order_key)

    def _finds_a_way(self, record: Outgoing) -> bool:
        try:
            return self._hand_over(record)
        except Exception:
            # Committed is committed: whoever did it must not be told that it failed.
            log.exception("hand_over_failed", topic=record.topic)
            return False

    def _wake_shard(self, shard: int) -> None:
        self._lanes[shard % LANES].wake(shard)

    async def publish_shards(self, shards: Sequence[int]) -> int:
        """Publish what stands in some shards, in order; rows go only after the broker's ack. Returns how many.

        Rows may be published twice (a crash or a stop between ack and commit).
        Errors: StoreUnavailable, BusUnavailable.
        """
        async with self._database.transaction_from(_lock_statement(shards)) as connection:
            # A statement of its own: its snapshot must be newer than the locks.
            rows = await connection.fetch(_SELECT, list(shards), BATCH)
            if not rows:
                return 0
            records = [_outgoing(row) for row in rows]
            await self._publish([each for record in records for each in (record, *self._expand(record))])
            await connection.execute(_delete_statement([row["id"] for row in rows]))
        for topic, count in Counter(row["topic"] for row in rows).items():
            metrics.OUTBOX_PUBLISHED.labels(topic).inc(count)
        return len(rows)

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        """Have the broker take the records. One that it never takes must not stop its shard: it is parked instead."""
        try:
            await self._publisher.publish(records)
        except RecordRefused as error:
            for record in cast(Sequence[Outgoing], error.records):
                log.error("outbox_row_parked", topic=record.topic, size=len(record.value or b""))
                metrics.OUTBOX_REFUSED.labels(record.topic).inc()
                letter = dead_letter(record.topic, record.key, record.value, "the broker never takes it, as from us")
                await post(self._publisher, letter)

    async def _run_lane(self, lane: "_Lane") -> None:
        while True:
            shards = await lane.next_shards()
            try:
                while await self.publish_shards(shards) == BATCH:
                    pass
            except (StoreUnavailable, BusUnavailable) as error:
                # The rows stay; the sweep finds them.
                log.warning("outbox_waiting", shards=shards, error=describe(error))
                self._left.set()
            except Exception:
                # A shard that nobody publishes any more would be a silent loss; the sweep tries it again.
                log.exception("outbox_failed", shards=shards)
                self._left.set()

    async def _sweep(self) -> None:
        interval_s = SWEEP_INTERVAL_S
        while True:
            self._left.clear()
            is_idle = await self._wake_for_backlog()
            interval_s = min(interval_s * 2, IDLE_SWEEP_INTERVAL_S) if is_idle else SWEEP_INTERVAL_S
            await asyncio.sleep(SWEEP_INTERVAL_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(interval_s - SWEEP_INTERVAL_S):
                    await self._left.wait()

    async def _wake_for_backlog(self) -> bool:
        """Have what stands in the outbox published; whether there was nothing, for certain."""
        try:
            async with self._database.connection() as connection:
                rows = await connection.fetch("SELECT shard, count(*) AS backlog FROM outbox GROUP BY shard")
        except StoreUnavailable:
            return False
        except Exception:
            log.exception("outbox_sweep_failed")
            return False
        metrics.OUTBOX_BACKLOG.set(sum(row["backlog"] for row in rows))
        for row in rows:
            self._wake_shard(row["shard"])
        return not rows


def _lock_statement(shards: Sequence[int]) -> str:
    """Takes the shards' locks, in one order, so that replicas cannot deadlock. Numbers of ours only."""
    locks = ", ".join(f"pg_advisory_xact_lock({_LOCK_SPACE}, {shard:d})" for shard in sorted(shards))
    # A lost delete only means that the rows are published again.
    return f"SET LOCAL synchronous_commit = off; SELECT {locks}"


def _delete_statement(ids: Sequence[int]) -> str:
    """Deletes rows and commits, in one round trip. Numbers of ours only."""
    return f"DELETE FROM outbox WHERE id = ANY('{{{','.join(f'{id_:d}' for id_ in ids)}}}'::bigint[]); COMMIT"  # noqa: S608


def _outgoing(row: asyncpg.Record) -> Outgoing:
    # An empty value is a tombstone: no message of ours is empty.
    return Outgoing(row["topic"], row["key"].encode(), row["value"] or None, trace_headers(row["trace"]))
