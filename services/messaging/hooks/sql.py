"""PostgreSQL: what is held back for a review, and where it was to be written."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg

from services.messaging.attachments.sql.messages import keep_until
from services.messaging.hooks.core.holding import Decision, Held, HeldId, HeldState, Place, Queue, decide
from services.messaging.kernel.content import EXPIRED
from services.messaging.kernel.errors import HeldNotFound
from services.messaging.kernel.model import ConversationId, ConversationKind, DraftKey, UserId
from services.messaging.wire.storage import attachment_bytes, from_columns, to_attachments, to_columns
from services.runtime.postgres.database import Connection, Database

# Each of these is one look into an index, however many members there are.
_PLACE = """
SELECT c.kind, c.blocked, c.frozen, h.state AS held,
    EXISTS (SELECT FROM members m WHERE m.conversation_id = c.id AND m.user_id = $2) AS is_member,
    CASE WHEN c.pair_key IS NOT NULL THEN (
        SELECT x.user_id FROM members x WHERE x.conversation_id = c.id AND x.user_id <> $2 LIMIT 1
    ) END AS peer,
    NOT EXISTS (SELECT FROM members x WHERE x.conversation_id = c.id AND x.user_id <> $2 AND x.request = '')
        AND EXISTS (SELECT FROM members x WHERE x.conversation_id = c.id AND x.user_id <> $2) AS is_request
FROM conversations c
LEFT JOIN held_messages h ON h.conversation_id = c.id AND h.sender_id = $2 AND h.client_message_id = $3
WHERE c.id = $1
"""

_IS_STORED = "SELECT FROM messages WHERE conversation_id = $1 AND sender_id = $2 AND client_message_id = $3"
_IS_HELD = "SELECT FROM held_messages WHERE conversation_id = $1 AND sender_id = $2 AND client_message_id = $3"

# Another text for the same message takes the place of the one before, under an id of its own: what somebody reads is
# what they let pass. One that is on its way already stays.
_HOLD = f"""
INSERT INTO held_messages (conversation_id, sender_id, client_message_id, id, seq, reply_to_seq, kind, body, entities,
    call, line, content, attachments, held_at, word, forwarded, view_once)
SELECT $1::uuid, $2::text, $3::text, $4::uuid, $5::bigint, $6::bigint, $7::text, $8::text, $9::bytea, $10::bytea,
    $11::bytea, $12::bytea, $13::bytea, $14::timestamptz, $15::text, $17::boolean, $18::boolean
WHERE ($5 > 0 OR NOT EXISTS ({_IS_STORED})) AND (EXISTS ({_IS_HELD}) OR $16 > (
    SELECT count(*) FROM (
        SELECT FROM held_messages WHERE sender_id = $2 AND decided_at IS NULL LIMIT $16
    ) AS waiting
))
ON CONFLICT (conversation_id, sender_id, client_message_id) DO UPDATE SET
    id = excluded.id, kind = excluded.kind, body = excluded.body, entities = excluded.entities, call = excluded.call,
    line = excluded.line, content = excluded.content, held_at = excluded.held_at, word = excluded.word,
    state = 'waiting', decided_at = NULL
WHERE held_messages.seq > 0 AND held_messages.state <> 'releasing'
RETURNING id
"""  # noqa: S608

_BLANK = f"""
UPDATE held_messages SET state = $2, decided_at = coalesce(decided_at, $3), kind = '{EXPIRED.name}', body = '',
    entities = NULL, call = NULL, line = NULL, content = NULL, attachments = NULL, reply_to_seq = 0, forwarded = false,
    view_once = false
WHERE id = $1
"""  # noqa: S608


class PostgresHeld:
    """See ports.HeldStore. Files of what is held stay for `kept` longer than they would."""

    def __init__(self, database: Database, kept: timedelta) -> None:
        self._database = database
        self._kept = kept

    async def find_place(self, key: DraftKey) -> Place | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_PLACE, key.conversation_id, key.sender_id, key.client_message_id)
        if row is None:
            return None
        return Place(
            ConversationKind(row["kind"]),
            row["is_member"],
            row["blocked"],
            row["frozen"],
            row["is_request"],
            UserId(row["peer"]) if row["peer"] else None,
            HeldState(row["held"]) if row["held"] else None,
        )

    async def hold(self, held: Held, most: int) -> bool:
        key = (held.key.conversation_id, held.key.sender_id, held.key.client_message_id)
        async with self._database.transaction() as connection:
            kept = await connection.fetchval(
                _HOLD,
                *(*key, held.id, held.seq, held.reply_to_seq, *to_columns(held.content)),
                *(
                    attachment_bytes(held.attachments) if held.attachments else None,
                    held.held_at,
                    held.hook_reason,
                    most,
                ),
                held.forwarded,
                held.view_once,
            )
            if kept is not None:
                await keep_until(connection, [each.id for each in held.attachments], held.held_at + self._kept)
                return True
            found = f"SELECT EXISTS ({_IS_STORED}) OR EXISTS ({_IS_HELD})"
            return bool(await connection.fetchval(found, *key))

    async def list_waiting(self, after: HeldId | None, limit: int) -> Sequence[Held]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT * FROM held_messages WHERE decided_at IS NULL AND ($1::uuid IS NULL OR id > $1)"
                " ORDER BY id LIMIT $2",
                *(after, limit),
            )
        return [_held(row) for row in rows]

    async def decide(self, held_id: HeldId, decision: Decision, now: datetime) -> Held:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow("SELECT * FROM held_messages WHERE id = $1 FOR UPDATE", held_id)
            return await _decided(connection, row, decision, now)

    async def withdraw(self, key: DraftKey, now: datetime) -> None:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "SELECT * FROM held_messages WHERE conversation_id = $1 AND sender_id = $2 AND client_message_id = $3"
                " FOR UPDATE",
                *(key.conversation_id, key.sender_id, key.client_message_id),
            )
            await _decided(connection, row, Decision.WITHDRAW, now)

    async def forget(self, waiting_since: datetime, decided_before: datetime, limit: int) -> int:
        async with self._database.connection() as connection:
            status = await connection.execute(
                "DELETE FROM held_messages WHERE id IN (SELECT id FROM held_messages WHERE decided_at < $2"
                " UNION ALL SELECT id FROM held_messages WHERE decided_at IS NULL AND held_at < $1 LIMIT $3)",
                *(waiting_since, decided_before, limit),
            )
        return int(status.rpartition(" ")[2])

    async def queue(self) -> Queue:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT count(*) AS count, min(held_at) AS oldest FROM held_messages WHERE decided_at IS NULL"
            )
        assert row is not None
        return Queue(row["count"], row["oldest"])


async def _decided(connection: Connection, row: asyncpg.Record | None, decision: Decision, now: datetime) -> Held:
    if row is None:
        raise HeldNotFound
    held = _held(row)
    after = decide(held.state, decision)
    if after is not held.state:
        await _write(connection, held, after, now)
    return replace(held, state=after)


async def _write(connection: Connection, held: Held, after: HeldState, now: datetime) -> None:
    if after not in (HeldState.RELEASED, HeldState.REFUSED):
        await connection.execute("UPDATE held_messages SET state = $2 WHERE id = $1", held.id, after.value)
        return
    await connection.execute(_BLANK, held.id, after.value, now)
    if after is HeldState.REFUSED:
        # What no message has by now is due.
        await keep_until(connection, [each.id for each in held.attachments], now)


def _held(row: asyncpg.Record) -> Held:
    return Held(
        HeldId(row["id"]),
        DraftKey(ConversationId(row["conversation_id"]), UserId(row["sender_id"]), row["client_message_id"]),
        from_columns(row),
        row["held_at"],
        row["word"],
        row["seq"],
        row["reply_to_seq"],
        to_attachments(row["attachments"]) if row["attachments"] else (),
        row["forwarded"],
        HeldState(row["state"]),
        row["view_once"],
    )
