"""PostgreSQL: drafts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from services.messaging.drafts import core
from services.messaging.drafts.core import KeptDraft, WantedDraft
from services.messaging.drafts.mapping import draft_delivery
from services.messaging.kernel.errors import ConversationNotFound, TooManyDrafts
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.wire import topics
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database

_LOCK_SPACE = 0x647266

# Whoever is about to go waits until it is written, and then takes it along.
_PLACE = """
SELECT c.vanish_after_s FROM members m JOIN conversations c ON c.id = m.conversation_id
WHERE m.conversation_id = $2 AND m.user_id = $1 FOR KEY SHARE OF m
"""
_WRITE = """
INSERT INTO drafts (user_id, conversation_id, body, reply_to_seq, revision, changed_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_id, conversation_id) DO UPDATE SET
    body = excluded.body, reply_to_seq = excluded.reply_to_seq, revision = excluded.revision,
    changed_at = excluded.changed_at, expires_at = excluded.expires_at
"""


class PostgresDrafts:
    """See ports.DraftStore. The relay is woken for people whose devices are told."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay) -> None:
        self._database = database
        self._relay = relay

    async def write(
        self, user_id: UserId, conversation_id: ConversationId, wanted: WantedDraft, now: datetime, most: int
    ) -> KeptDraft:
        place = (user_id, conversation_id)
        async with self._database.transaction() as connection:
            # One person's are written one after the other, so that they are counted and told in order.
            await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK_SPACE, user_id)
            vanish_after_s = await connection.fetchval(_PLACE, *place)
            if vanish_after_s is None:
                raise ConversationNotFound
            row = await connection.fetchrow("SELECT * FROM drafts WHERE user_id = $1 AND conversation_id = $2", *place)
            before = _draft(row) if row else None
            after = core.write(before, place, wanted, now, timedelta(seconds=vanish_after_s) or None)
            if after is None:
                return before if before and not core.is_over(before, now) else core.none_of(place, now)
            if after.text and before is None:
                await _require_room(connection, user_id, most)
            await _keep(connection, after)
            await outbox.append(connection, user_id, [(topics.DELIVERY, user_id, draft_delivery(after))])
        self._relay.wake(user_id)
        return after

    async def list_of(
        self, user_id: UserId, after: ConversationId | None, limit: int, now: datetime
    ) -> Sequence[KeptDraft]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT * FROM drafts WHERE user_id = $1 AND ($2::uuid IS NULL OR conversation_id > $2)"
                " AND (expires_at IS NULL OR expires_at > $4) ORDER BY conversation_id LIMIT $3",
                *(user_id, after, limit, now),
            )
        return [_draft(row) for row in rows]

    async def sweep(self, now: datetime, limit: int) -> int:
        async with self._database.connection() as connection:
            status = await connection.execute(
                "DELETE FROM drafts WHERE ctid = ANY(ARRAY("
                "SELECT ctid FROM drafts WHERE expires_at <= $1 LIMIT $2)) AND expires_at <= $1",
                *(now, limit),
            )
        return int(status.rpartition(" ")[2])


async def _require_room(connection: Connection, user_id: UserId, most: int) -> None:
    if await connection.fetchval("SELECT count(*) FROM drafts WHERE user_id = $1", user_id) >= most:
        raise TooManyDrafts(f"{most} drafts are kept already")


async def _keep(connection: Connection, draft: KeptDraft) -> None:
    place = (draft.user_id, draft.conversation_id)
    if not draft.text:
        await connection.execute("DELETE FROM drafts WHERE user_id = $1 AND conversation_id = $2", *place)
        return
    await connection.execute(
        _WRITE, *place, draft.text, draft.reply_to_seq, draft.revision, draft.changed_at, draft.expires_at
    )


def _draft(row: asyncpg.Record) -> KeptDraft:
    return KeptDraft(
        UserId(row["user_id"]),
        ConversationId(row["conversation_id"]),
        row["body"],
        row["reply_to_seq"],
        row["revision"],
        row["changed_at"],
        row["expires_at"],
    )
