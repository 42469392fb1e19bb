"""PostgreSQL: messages that wait for their time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from services.messaging.attachments.sql.messages import keep_until
from services.messaging.kernel.errors import AttachmentNotFound, TooManyScheduled
from services.messaging.kernel.model import ConversationId, DraftKey, UserId
from services.messaging.scheduling.core import (
    Decide,
    Scheduled,
    ScheduledId,
    ScheduledState,
    keeps_files_until,
    require_new,
)
from services.messaging.scheduling.mapping import changed_delivery, gone_delivery
from services.messaging.wire import topics
from services.messaging.wire.storage import STORED, attachment_bytes, from_columns, to_attachments, to_columns
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database

# What somebody lets go of stays for so long, since they may send it otherwise.
LET_GO = timedelta(days=1)
_LOCK_SPACE = 0x736368

_KEY = "sender_id = $1 AND conversation_id = $2 AND client_message_id = $3"
_IS_SENT = f"SELECT EXISTS (SELECT FROM messages WHERE {_KEY})"  # noqa: S608
_FIND = f"SELECT * FROM scheduled_messages WHERE {_KEY}"  # noqa: S608

_WRITE = """
INSERT INTO scheduled_messages (sender_id, conversation_id, client_message_id, id, created_at, send_at, due_at, state,
    attempts, refusal, revision, reply_to_seq, kind, body, entities, call, line, content, attachments, attachment_ids)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
ON CONFLICT (sender_id, conversation_id, client_message_id) DO UPDATE SET
    send_at = excluded.send_at, due_at = excluded.due_at, state = excluded.state, lease = NULL,
    attempts = excluded.attempts, refusal = excluded.refusal, revision = excluded.revision,
    reply_to_seq = excluded.reply_to_seq, kind = excluded.kind, body = excluded.body, entities = excluded.entities,
    call = excluded.call, line = excluded.line, content = excluded.content, attachments = excluded.attachments,
    attachment_ids = excluded.attachment_ids
"""

# What another replica has locked is left to it, and what a newer release wrote to a replica that knows it.
_CLAIM = """
UPDATE scheduled_messages SET due_at = $2, lease = $3,
    state = CASE WHEN state IN ('waiting', 'held') THEN 'sending' ELSE state END
WHERE id IN (
    SELECT id FROM scheduled_messages WHERE due_at <= $1 AND kind = ANY($5) ORDER BY due_at, id LIMIT $4
    FOR UPDATE SKIP LOCKED
)
RETURNING *
"""

# What was refused goes no later than a message of its conversation would.
_SETTLE = """
UPDATE scheduled_messages s SET lease = NULL, state = $3, attempts = $4, refusal = $5, revision = $6,
    due_at = CASE WHEN $3 <> 'refused' THEN $7::timestamptz ELSE least($7::timestamptz, $8::timestamptz + (
        SELECT nullif(c.vanish_after_s, 0) * interval '1 second' FROM conversations c WHERE c.id = s.conversation_id
    )) END
WHERE s.id = $1 AND s.lease = $2
RETURNING true
"""


class PostgresScheduled:
    """See ports.ScheduledStore. The relay is woken for people whose devices are told."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay) -> None:
        self._database = database
        self._relay = relay

    async def put(self, scheduled: Scheduled, most: int) -> Scheduled | None:
        key = scheduled.key
        async with self._database.transaction() as connection:
            await _lock(connection, key.sender_id)
            if await connection.fetchval(_IS_SENT, *_key(key)):
                return None
            standing = require_new(await _load(connection, key))
            if standing is not None:
                return standing
            waiting = await connection.fetchval(
                "SELECT count(*) FROM scheduled_messages WHERE sender_id = $1 AND state <> 'cancelled'", key.sender_id
            )
            if waiting >= most:
                raise TooManyScheduled(f"{most} messages wait for their time already")
            await _write(connection, scheduled)
            await _tell(connection, key, changed_delivery(scheduled, scheduled.created_at))
        self._relay.wake(key.sender_id)
        return scheduled

    async def change(self, key: DraftKey, decide: Decide, now: datetime) -> Scheduled | None:
        async with self._database.transaction() as connection:
            await _lock(connection, key.sender_id)
            # The row, too: replicas that claim it hold no lock of its writer's.
            before = await _load(connection, key, " FOR UPDATE")
            after = decide(before, bool(await connection.fetchval(_IS_SENT, *_key(key))))
            if after is None:
                return before
            await _write(connection, after)
            kept = {file.id for file in after.attachments}
            let_go = [file.id for file in (before.attachments if before else ()) if file.id not in kept]
            await keep_until(connection, let_go, now + LET_GO)
            await _tell(connection, key, changed_delivery(after, now))
        self._relay.wake(key.sender_id)
        return after

    async def find(self, key: DraftKey) -> Scheduled | None:
        async with self._database.connection() as connection:
            return await _load(connection, key)

    async def list_of(self, user_id: UserId, after: ScheduledId | None, limit: int) -> Sequence[Scheduled]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT * FROM scheduled_messages WHERE sender_id = $1 AND state <> 'cancelled'"
                " AND kind = ANY($4) AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
                *(user_id, after, limit, list(STORED)),
            )
        return [_scheduled(row) for row in rows]

    async def claim(self, now: datetime, until: datetime, lease: UUID, limit: int) -> Sequence[Scheduled]:
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_CLAIM, now, until, lease, limit, list(STORED))
        return [_scheduled(row) for row in rows]

    async def settle(self, settled: Scheduled, lease: UUID, now: datetime) -> None:
        async with self._database.transaction() as connection:
            told = await connection.fetchval("SELECT revision FROM scheduled_messages WHERE id = $1", settled.id)
            is_mine = await connection.fetchval(
                _SETTLE,
                *(settled.id, lease, settled.state.value, settled.attempts, settled.refusal, settled.revision),
                *(settled.due_at, now),
            )
            if is_mine and settled.revision != told:
                await _tell(connection, settled.key, changed_delivery(settled, now))
        self._relay.wake(settled.key.sender_id)

    async def forget(self, taken: Scheduled, lease: UUID, now: datetime) -> None:
        async with self._database.transaction() as connection:
            is_mine = await connection.fetchval(
                "DELETE FROM scheduled_messages WHERE id = $1 AND lease = $2 RETURNING true", taken.id, lease
            )
            # Of what was cancelled they were told then.
            if is_mine and taken.state is not ScheduledState.CANCELLED:
                await keep_until(connection, [file.id for file in taken.attachments], now + LET_GO)
                await _tell(connection, taken.key, gone_delivery(taken.key, taken.revision + 1, now))
        self._relay.wake(taken.key.sender_id)

    async def next_due(self) -> datetime | None:
        async with self._database.connection() as connection:
            found: datetime | None = await connection.fetchval(
                "SELECT due_at FROM scheduled_messages WHERE kind = ANY($1) ORDER BY due_at LIMIT 1", list(STORED)
            )
        return found


async def _lock(connection: Connection, user_id: UserId) -> None:
    """One person's are changed one after the other, so that they are counted, and no two have the same file."""
    await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK_SPACE, user_id)


async def _load(connection: Connection, key: DraftKey, lock: str = "") -> Scheduled | None:
    row = await connection.fetchrow(_FIND + lock, *_key(key))
    return _scheduled(row) if row else None


async def _write(connection: Connection, scheduled: Scheduled) -> None:
    key, files = scheduled.key, [file.id for file in scheduled.attachments]
    if files and await connection.fetchval(
        "SELECT EXISTS (SELECT FROM scheduled_messages WHERE sender_id = $1 AND attachment_ids && $2 AND id <> $3)",
        *(key.sender_id, files, scheduled.id),
    ):
        raise AttachmentNotFound
    await connection.execute(
        _WRITE,
        *(*_key(key), scheduled.id, scheduled.created_at, scheduled.send_at, scheduled.due_at, scheduled.state.value),
        *(scheduled.attempts, scheduled.refusal, scheduled.revision, scheduled.reply_to_seq),
        *to_columns(scheduled.content),
        *(attachment_bytes(scheduled.attachments) if files else None, files),
    )
    await keep_until(connection, files, keeps_files_until(scheduled))


async def _tell(connection: Connection, key: DraftKey, delivery: bytes) -> None:
    await outbox.append(connection, key.sender_id, [(topics.DELIVERY, key.sender_id, delivery)])


def _key(key: DraftKey) -> tuple[UserId, ConversationId, str]:
    return key.sender_id, key.conversation_id, key.client_message_id


def _scheduled(row: asyncpg.Record) -> Scheduled:
    return Scheduled(
        ScheduledId(row["id"]),
        DraftKey(ConversationId(row["conversation_id"]), UserId(row["sender_id"]), row["client_message_id"]),
        from_columns(row),
        row["send_at"],
        row["due_at"],
        row["created_at"],
        row["revision"],
        row["reply_to_seq"],
        to_attachments(row["attachments"]) if row["attachments"] else (),
        ScheduledState(row["state"]),
        row["attempts"],
        row["refusal"],
    )
