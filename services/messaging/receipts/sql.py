"""PostgreSQL: cursors of members."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg

from services.messaging.conversations.sql.conversations import DIRECT_RECIPIENTS
from services.messaging.conversations.sql.own_states import load_own_states
from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.wire import topics
from services.messaging.wire.deliveries import own_state_delivery
from services.messaging.wire.events import read_cursor_moved, to_outbox
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database

# The member's row is the lock of all that one keeps of a conversation.
_LOCK = f"""
SELECT greatest(m.read_seq, m.own_read_seq) AS read_seq, m.delivered_seq, least($3::bigint, c.last_seq) AS wanted,
    {DIRECT_RECIPIENTS} AS recipients, m.request = '' AND NOT c.blocked AND coalesce(s.send_receipts, true) AS is_shared
FROM members m
JOIN conversations c ON c.id = m.conversation_id
LEFT JOIN user_settings s ON s.user_id = m.user_id
WHERE m.conversation_id = $1 AND m.user_id = $2 FOR UPDATE OF m
"""  # noqa: S608
_MOVE_OWN = """
UPDATE members SET own_read_seq = $3, own_read_moved_at = $4 WHERE conversation_id = $1 AND user_id = $2
"""
_MOVE_SHARED = """
UPDATE members SET own_read_seq = $3, own_read_moved_at = $4, read_seq = $3, read_moved_at = $4
WHERE conversation_id = $1 AND user_id = $2
"""
_UNMARK = """
UPDATE own_states SET marked_unread = false, changed_at = $3
WHERE user_id = $1 AND conversation_id = $2 AND marked_unread RETURNING user_id
"""
_MOVE_DELIVERED = f"""
WITH place AS (
    SELECT m.conversation_id, {DIRECT_RECIPIENTS} AS recipients, least(k.seq, c.last_seq) AS seq, (
        SELECT count(*) FROM (SELECT FROM members x WHERE x.conversation_id = k.id LIMIT $5::bigint + 1) AS few
    ) <= $5 AS is_shared
    FROM unnest($2::uuid[], $3::bigint[]) AS k (id, seq)
    JOIN members m ON m.conversation_id = k.id AND m.user_id = $1
    JOIN conversations c ON c.id = k.id
    LEFT JOIN user_settings s ON s.user_id = $1
    -- Named twice, so that the planner does not begin with all that the person is in.
    WHERE m.conversation_id = ANY($2) AND greatest(m.delivered_seq, m.read_seq) < least(k.seq, c.last_seq)
        AND m.request = '' AND NOT c.blocked AND coalesce(s.send_receipts, true)
    -- In one order: two devices of one person say it at the same time.
    ORDER BY m.conversation_id FOR UPDATE OF m
)
UPDATE members m SET delivered_seq = place.seq, read_moved_at = $4 FROM place
WHERE m.conversation_id = place.conversation_id AND m.user_id = $1
RETURNING m.conversation_id, m.delivered_seq, place.recipients, place.is_shared
"""  # noqa: S608


class PostgresReceipts:
    """See ports.ReceiptStore."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay, new_id: NewId) -> None:
        self._database = database
        self._relay = relay
        self._new_id = new_id

    async def move_read_cursor(
        self, conversation_id: ConversationId, user_id: UserId, seq: int, now: datetime
    ) -> int | None:
        async with self._database.transaction() as connection:
            member = await connection.fetchrow(_LOCK, conversation_id, user_id, seq)
            if member is None:
                return None
            moved: int = max(member["wanted"], member["read_seq"])
            has_moved = moved > member["read_seq"]
            if has_moved:
                move = _MOVE_SHARED if member["is_shared"] else _MOVE_OWN
                await connection.execute(move, conversation_id, user_id, moved, now)
            unmarked = await connection.fetchval(_UNMARK, user_id, conversation_id, now)
            if not has_moved and unmarked is None:
                return moved
            await _tell_own_devices(connection, conversation_id, user_id, now)
            told = []
            if has_moved and member["is_shared"]:
                told = await self._tell(connection, conversation_id, user_id, member, moved, now)
        self._relay.wake(user_id)
        self._relay.committed(told)
        return moved

    async def move_delivered_cursors(
        self, user_id: UserId, places: Mapping[ConversationId, int], now: datetime, receipt_members: int
    ) -> None:
        async with self._database.transaction() as connection:
            moved = await connection.fetch(
                _MOVE_DELIVERED, user_id, list(places), list(places.values()), now, receipt_members
            )
            receipts = [
                to_outbox(id_, read_cursor_moved(self._new_id(now), id_, user_id, 0, seq, now), recipients)
                for id_, seq, recipients, is_shared in moved
                if is_shared
            ]
            if receipts:
                await outbox.append_many(connection, receipts)
        self._relay.committed(receipts)

    async def _tell(
        self,
        connection: Connection,
        conversation_id: ConversationId,
        user_id: UserId,
        before: asyncpg.Record,
        read_seq: int,
        now: datetime,
    ) -> list[tuple[str, str, str, bytes]]:
        # What was read was delivered.
        delivered_seq = read_seq if read_seq > before["delivered_seq"] else 0
        event = read_cursor_moved(self._new_id(now), conversation_id, user_id, read_seq, delivered_seq, now)
        rows = [to_outbox(conversation_id, event, before["recipients"])]
        await outbox.append_many(connection, rows)
        return rows


async def _tell_own_devices(
    connection: Connection, conversation_id: ConversationId, user_id: UserId, now: datetime
) -> None:
    own = (await load_own_states(connection, user_id, [conversation_id], now))[conversation_id]
    delivery = own_state_delivery(user_id, conversation_id, own, now)
    await outbox.append(connection, user_id, [(topics.DELIVERY, user_id, delivery)])
