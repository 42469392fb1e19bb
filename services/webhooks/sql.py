"""The deliveries in PostgreSQL. All times are the database's."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from services.runtime.postgres.database import Connection, Database
from services.webhooks.core.model import (
    Backlog,
    Claim,
    ClaimId,
    DeadLetter,
    Delivery,
    DeliveryId,
    DeliveryState,
    EndpointName,
    EndpointState,
    NewDelivery,
    OrderKey,
    WebhookId,
)
from services.webhooks.ports import ClaimLost, Erasure

_WAITING, _DEAD = DeliveryState.WAITING.value, DeliveryState.DEAD.value

# Whoever locks several rows that others see locks those of queues first, then deliveries by their ids, so that nobody
# waits for somebody who waits.

# The ids are given in the order of the rows. Who had the event before is passed over. An array of arrays would be one
# flat one to unnest, so those who reacted come as a line; ids hold no spaces.
_ADD = """
INSERT INTO deliveries
    (endpoint, webhook_id, order_key, type, event_time, body, body_with_contents, author_id, message_id, reactor_ids)
SELECT endpoint, webhook_id, order_key, type, event_time, body, body_with_contents, author_id, message_id,
    string_to_array(reactors, ' ')
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bytea[], $7::bytea[], $8::text[], $9::text[],
    $10::text[]
) WITH ORDINALITY AS told
    (endpoint, webhook_id, order_key, type, event_time, body, body_with_contents, author_id, message_id, reactors,
     position)
ORDER BY position
ON CONFLICT (endpoint, webhook_id) DO NOTHING
RETURNING endpoint, order_key
"""
# The update changes nothing but locks the row: whoever would take it away waits, and then sees what was added.
_QUEUE = """
INSERT INTO queues (endpoint, order_key)
SELECT DISTINCT endpoint, order_key FROM unnest($1::text[], $2::text[]) AS told (endpoint, order_key)
ORDER BY endpoint, order_key
ON CONFLICT (endpoint, order_key) DO UPDATE SET due = queues.due
"""
_TO_ERASE = """
SELECT id FROM deliveries WHERE body_with_contents IS NOT NULL
AND (author_id = ANY($1::text[]) OR reactor_ids && $1::text[] OR message_id = ANY($2::text[]))
ORDER BY id FOR UPDATE
"""
_ERASE = "UPDATE deliveries SET body_with_contents = NULL WHERE id = ANY($1::bigint[])"
_STATES = """
SELECT name, disabled_url, disable_time, failing_since,
    (SELECT queue_time FROM deliveries WHERE endpoint = name AND state = 0 ORDER BY id LIMIT 1) AS oldest_time,
    extract(epoch FROM (SELECT min(due) FROM queues WHERE endpoint = name) - now())::float8 AS due_in_s
FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, position) LEFT JOIN endpoints USING (name)
ORDER BY position
"""
_CLAIM = """
WITH taken AS (
    SELECT order_key FROM queues WHERE endpoint = $1 AND due <= now() ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE queues SET claim = $4, due = clock_timestamp() + make_interval(secs => $3)
FROM taken WHERE queues.endpoint = $1 AND queues.order_key = taken.order_key
RETURNING queues.order_key
"""
_DELIVERY = """
id, webhook_id, body, body_with_contents, event_time, attempts,
extract(epoch FROM clock_timestamp() - queue_time)::float8 AS waited_s
"""
_FIRST = f"SELECT {_DELIVERY} FROM deliveries WHERE endpoint = $1 AND order_key = $2 AND state = 0 ORDER BY id LIMIT 1"  # noqa: S608
# One round trip for the end of one and the next. The parts see the rows as they were before, so that the settled one is
# left out by its id. The commit waits for no disk and no standby: what a crash loses is delivered again, in its order,
# since the WAL never loses an earlier commit and keeps a later one.
_SETTLE = f"""
WITH mine AS (
    UPDATE queues SET due = clock_timestamp() + make_interval(secs => $7)
    WHERE endpoint = $1 AND order_key = $2 AND claim = $3 RETURNING 1
), settled AS (
    UPDATE deliveries SET state = $5, last_status = $6, attempts = attempts + 1
    WHERE id = $4 AND EXISTS (SELECT 1 FROM mine)
)
SELECT EXISTS (SELECT 1 FROM mine) AS is_held, following.*
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS one LEFT JOIN LATERAL (
    SELECT {_DELIVERY} FROM deliveries
    WHERE endpoint = $1 AND order_key = $2 AND state = 0 AND id <> $4 ORDER BY id LIMIT 1
) AS following ON true
"""  # noqa: S608
_DEFER = """
WITH mine AS (
    UPDATE queues SET claim = NULL, due = clock_timestamp() + make_interval(secs => $6)
    WHERE endpoint = $1 AND order_key = $2 AND claim = $3 RETURNING 1
), failed AS (
    UPDATE deliveries SET last_status = $5, attempts = attempts + 1 WHERE id = $4 AND EXISTS (SELECT 1 FROM mine)
)
SELECT 1 FROM mine
"""
_LOCK = "SELECT 1 FROM queues WHERE endpoint = $1 AND order_key = $2 AND claim = $3 FOR UPDATE"
# A statement of its own: it must see what was added before the lock was had.
_EMPTY = """
DELETE FROM queues WHERE endpoint = $1 AND order_key = $2
AND NOT EXISTS (SELECT 1 FROM deliveries WHERE endpoint = $1 AND order_key = $2 AND state = 0)
RETURNING 1
"""
_FREE = """
UPDATE queues SET claim = NULL, due = clock_timestamp() WHERE endpoint = $1 AND order_key = $2
"""
_FAILING = """
INSERT INTO endpoints (name, failing_since) VALUES ($1, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET failing_since = excluded.failing_since WHERE endpoints.failing_since IS NULL
"""
_WELL = "UPDATE endpoints SET failing_since = NULL WHERE name = $1 AND failing_since IS NOT NULL RETURNING 1"
_WAKE = """
UPDATE queues SET due = clock_timestamp() WHERE (endpoint, order_key) IN (
    SELECT endpoint, order_key FROM queues
    WHERE endpoint = $1 AND claim IS NULL AND due > now()
    ORDER BY endpoint, order_key FOR UPDATE SKIP LOCKED
)
"""
_DISABLE = """
INSERT INTO endpoints (name, disabled_url, disable_time) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET disabled_url = excluded.disabled_url, disable_time = excluded.disable_time
"""
_ENABLE = "UPDATE endpoints SET disabled_url = NULL, disable_time = NULL WHERE name = $1"
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE endpoint = $1 AND state = $2 LIMIT $3) AS found"
_DEAD_LETTERS = """
SELECT webhook_id, type, order_key, event_time, attempts, last_status FROM deliveries
WHERE endpoint = $1 AND state = 2 ORDER BY id DESC LIMIT $2
"""
_SETTLED = """
SELECT id, order_key FROM deliveries
WHERE endpoint = $1 AND event_time >= $2 AND event_time < $3 AND id > $4 AND state <> 0 AND (state = 2 OR NOT $5)
ORDER BY id LIMIT $6
"""
_LOCK_SETTLED = "SELECT id FROM deliveries WHERE id = ANY($1::bigint[]) AND state <> 0 ORDER BY id FOR UPDATE"
_AGAIN = """
UPDATE deliveries SET state = 0, attempts = 0, last_status = 0, queue_time = clock_timestamp()
WHERE id = ANY($1::bigint[])
"""
_PURGE = """
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE create_time < now() - make_interval(secs => $1)
    ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING state
"""
_LOCK_ABANDONED = """
SELECT endpoint, order_key FROM queues WHERE due < now() - make_interval(secs => $1)
LIMIT $2 FOR UPDATE SKIP LOCKED
"""


class PostgresDeliveries:
    """See ports.Store, ports.Operations and ports.Keeping."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, deliveries: Sequence[NewDelivery], erasure: Erasure) -> None:
        """See ports.Store."""
        async with self._database.transaction() as connection:
            if deliveries:
                added = await connection.fetch(_ADD, *_columns(deliveries))
                await _queue(connection, [(row["endpoint"], row["order_key"]) for row in added])
            if erasure:
                found = await connection.fetch(_TO_ERASE, sorted(erasure.author_ids), sorted(erasure.message_ids))
                await connection.execute(_ERASE, _ids(found))

    async def states(self, endpoints: Sequence[EndpointName]) -> Sequence[EndpointState]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_STATES, list(endpoints))
        return [
            EndpointState(
                EndpointName(row["name"]),
                row["disabled_url"],
                row["disable_time"],
                row["failing_since"],
                row["oldest_time"],
                row["due_in_s"],
            )
            for row in rows
        ]

    async def claim(self, endpoint: EndpointName, limit: int, lease_s: float, claim_id: ClaimId) -> Sequence[Claim]:
        """See ports.Store."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CLAIM, endpoint, limit, lease_s, claim_id)
        return [Claim(claim_id, endpoint, OrderKey(row["order_key"])) for row in rows]

    async def first(self, claim: Claim) -> Delivery | None:
        """See ports.Store."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIRST, claim.endpoint, claim.order_key)
        return _delivery(row) if row else None

    async def settle(
        self, claim: Claim, delivery: DeliveryId, state: DeliveryState, status: int, lease_s: float
    ) -> Delivery | None:
        """See ports.Store."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                _SETTLE, claim.endpoint, claim.order_key, claim.id, delivery, state.value, status, lease_s
            )
        if not row or not row["is_held"]:
            raise ClaimLost
        return _delivery(row) if row["id"] is not None else None

    async def defer(self, claim: Claim, delivery: DeliveryId, status: int, delay_s: float) -> None:
        """See ports.Store."""
        async with self._database.connection() as connection:
            held = await connection.fetchval(
                _DEFER, claim.endpoint, claim.order_key, claim.id, delivery, status, delay_s
            )
        if not held:
            raise ClaimLost

    async def release(self, claim: Claim) -> None:
        """See ports.Store."""
        key = (claim.endpoint, claim.order_key)
        async with self._database.transaction() as connection:
            if await connection.fetchval(_LOCK, *key, claim.id) and not await connection.fetchval(_EMPTY, *key):
                await connection.execute(_FREE, *key)

    async def note_failing(self, endpoint: EndpointName) -> None:
        """See ports.Store."""
        async with self._database.connection() as connection:
            await connection.execute(_FAILING, endpoint)

    async def recover(self, endpoint: EndpointName) -> bool:
        """See ports.Store."""
        async with self._database.transaction() as connection:
            was_failing = bool(await connection.fetchval(_WELL, endpoint))
            if was_failing:
                await connection.execute(_WAKE, endpoint)
        return was_failing

    async def disable(self, endpoint: EndpointName, url: str) -> None:
        """See ports.Store."""
        async with self._database.connection() as connection:
            await connection.execute(_DISABLE, endpoint, url)

    async def backlog(self, endpoint: EndpointName, most: int) -> Backlog:
        """See ports.Operations."""
        async with self._database.connection() as connection:
            waiting = await connection.fetchval(_COUNT, endpoint, _WAITING, most)
            return Backlog(waiting, await connection.fetchval(_COUNT, endpoint, _DEAD, most))

    async def enable(self, endpoint: EndpointName) -> None:
        """See ports.Operations."""
        async with self._database.transaction() as connection:
            await connection.execute(_ENABLE, endpoint)
            await connection.execute(_WAKE, endpoint)

    async def dead_letters(self, endpoint: EndpointName, limit: int) -> Sequence[DeadLetter]:
        """See ports.Operations."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_DEAD_LETTERS, endpoint, limit)
        return [DeadLetter(**dict(row)) for row in rows]

    async def replay(
        self,
        endpoint: EndpointName,
        start: datetime,
        end: datetime,
        after: DeliveryId,
        limit: int,
        *,
        dead_only: bool,
    ) -> tuple[int, DeliveryId | None]:
        """See ports.Operations."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_SETTLED, endpoint, start, end, after, dead_only, limit)
            await _queue(connection, [(endpoint, row["order_key"]) for row in rows])
            await connection.execute(_AGAIN, _ids(await connection.fetch(_LOCK_SETTLED, _ids(rows))))
        return len(rows), DeliveryId(rows[-1]["id"]) if len(rows) == limit else None

    async def purge(self, keep_s: float, limit: int) -> dict[DeliveryState, int]:
        """See ports.Keeping."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_PURGE, keep_s, limit)
        # Of endpoints that the configuration has no more.
        async with self._database.transaction() as connection:
            for row in await connection.fetch(_LOCK_ABANDONED, keep_s, limit):
                await connection.fetchval(_EMPTY, row["endpoint"], row["order_key"])
        states = [DeliveryState(row["state"]) for row in rows]
        return {state: states.count(state) for state in set(states)}


async def _queue(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    if keys:
        await connection.execute(_QUEUE, [endpoint for endpoint, _ in keys], [key for _, key in keys])


def _ids(rows: Sequence[asyncpg.Record]) -> list[int]:
    return [row["id"] for row in rows]


def _columns(deliveries: Sequence[NewDelivery]) -> tuple[list[object], ...]:
    table = [
        (
            new.endpoint,
            new.event.webhook_id,
            new.event.order_key,
            new.event.type,
            new.event.time,
            new.event.body,
            new.event.body_with_contents if new.has_contents else None,
            new.event.author_id if new.has_contents else None,
            new.event.message_id if new.has_contents else None,
            " ".join(new.event.reactor_ids) or None if new.has_contents else None,
        )
        for new in deliveries
    ]
    return tuple([row[column] for row in table] for column in range(10))


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery(
        DeliveryId(row["id"]),
        WebhookId(row["webhook_id"]),
        bytes(row["body"]),
        row["event_time"],
        row["attempts"],
        row["waited_s"],
        row["body_with_contents"],
    )
