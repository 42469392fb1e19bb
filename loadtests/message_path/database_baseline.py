"""What PostgreSQL alone does with the transaction of a send: the counter, the message, the outbox row."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime

import asyncpg

# As many connections as messaging has.
CONNECTIONS = 8
_CONVERSATIONS = 20
# The real tables' columns and indexes, in a schema of their own, so that no relay publishes these rows.
_SCHEMA = """
DROP SCHEMA IF EXISTS load_baseline CASCADE;
CREATE SCHEMA load_baseline;
CREATE TABLE load_baseline.conversations (LIKE public.conversations INCLUDING ALL);
CREATE TABLE load_baseline.messages (LIKE public.messages INCLUDING ALL);
CREATE TABLE load_baseline.outbox (LIKE public.outbox INCLUDING ALL);
"""


async def database_rate(url: str, duration_s: float, body_bytes: int) -> float:
    """Transactions a second, one message each, over CONNECTIONS connections and 20 conversations."""
    pool = await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    try:
        await pool.execute(_SCHEMA)
        ids = [uuid.uuid4() for _ in range(_CONVERSATIONS)]
        await pool.executemany(
            "INSERT INTO load_baseline.conversations (id, kind, active_at, created_at)"
            " VALUES ($1, 'direct', now(), now())",
            [(conversation_id,) for conversation_id in ids],
        )
        began_s = time.monotonic()
        counts = await asyncio.gather(
            *(_write(pool, ids[number::CONNECTIONS], began_s + duration_s, body_bytes) for number in range(CONNECTIONS))
        )
        rate = sum(counts) / (time.monotonic() - began_s)
        await pool.execute("DROP SCHEMA load_baseline CASCADE")
    finally:
        await pool.close()
    return rate


async def _write(pool: asyncpg.Pool, ids: list[uuid.UUID], until_s: float, body_bytes: int) -> int:
    written = 0
    body = "x" * body_bytes
    async with pool.acquire() as connection:
        while time.monotonic() < until_s:
            await _write_one(connection, ids[written % len(ids)], body)
            written += 1
    return written


async def _write_one(connection: asyncpg.pool.PoolConnectionProxy, conversation_id: uuid.UUID, body: str) -> None:
    async with connection.transaction():
        seq = 1 + await connection.fetchval(
            "SELECT last_seq FROM load_baseline.conversations WHERE id = $1 FOR UPDATE", conversation_id
        )
        await connection.execute(
            "WITH counted AS (UPDATE load_baseline.conversations SET last_seq = $2, active_at = $6 WHERE id = $1)"
            " INSERT INTO load_baseline.messages (conversation_id, seq, id, sender_id, client_message_id, sent_at,"
            " kind, body) VALUES ($1, $2, $3, $4, $5, $6, 'text', $7)",
            conversation_id,
            seq,
            uuid.uuid4(),
            "floor",
            str(seq),
            datetime.now(UTC),
            body,
        )
        await connection.execute(
            "INSERT INTO load_baseline.outbox (shard, topic, key, value) VALUES ($1, $2, $3, $4)",
            seq % 16,
            "messaging.events.v1",
            str(conversation_id),
            b"x" * (len(body) + 200),
        )
