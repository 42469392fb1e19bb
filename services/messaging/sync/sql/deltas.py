"""Statements about what a device lacks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from services.messaging.kernel.model import ConversationId, Cursor, Message, UserId
from services.messaging.messages.sql.reading import to_messages
from services.runtime.postgres.database import Connection

_BEHIND = """
SELECT c.id, c.last_seq, cursor.seq, coalesce(cursor.revision, c.revision) AS revision,
    greatest(m.visible_after_seq, c.history_start_seq) AS visible_after_seq,
    cursor.id IS NULL OR c.last_seq > cursor.seq OR c.revision > cursor.revision AS has_news
FROM members m
JOIN conversations c ON c.id = m.conversation_id
LEFT JOIN unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS cursor (id, seq, revision) ON cursor.id = c.id
WHERE m.user_id = $1 AND m.request <> 'declined' AND (
    cursor.id IS NULL
    OR c.last_seq > cursor.seq
    OR c.revision > cursor.revision
    OR m.own_read_moved_at >= $5
    OR EXISTS (SELECT FROM members r WHERE r.conversation_id = c.id AND r.read_moved_at >= $5)
    OR EXISTS (
        SELECT FROM own_states o WHERE o.user_id = $1 AND o.conversation_id = c.id AND o.changed_at >= $5
    )
)
ORDER BY has_news DESC, c.active_at, c.id
LIMIT $6
"""


async def load_behind(
    connection: Connection,
    user_id: UserId,
    cursors: Mapping[ConversationId, Cursor],
    read_since: datetime | None,
    limit: int,
) -> list[asyncpg.Record]:
    """The user's conversations in which a device with these cursors lacks something; `limit`: see Store.sync."""
    rows: list[asyncpg.Record] = await connection.fetch(
        _BEHIND,
        user_id,
        list(cursors),
        [cursor.seq for cursor in cursors.values()],
        [cursor.revision for cursor in cursors.values()],
        read_since,
        limit + len(cursors),
    )
    news = sum(row["has_news"] for row in rows)
    # Where only cursors moved, nothing tells a device that it was told; so these all come, and together with the last
    # page of the others: there are no more of them than the device named.
    return rows if news < limit else rows[:limit]


async def load_new(
    connection: Connection, behind: Sequence[asyncpg.Record], limit: int
) -> Mapping[ConversationId, list[Message]]:
    """New messages, ascending, at most limit + 1 a conversation; where the device has nothing, the newest page."""
    rows = await connection.fetch(
        "SELECT m.* FROM unnest($1::uuid[], $2::bigint[]) AS k (id, seq) CROSS JOIN LATERAL ("
        " SELECT * FROM messages WHERE conversation_id = k.id AND messages.seq > k.seq"
        " ORDER BY messages.seq LIMIT $3) AS m ORDER BY m.conversation_id, m.seq",
        [row["id"] for row in behind],
        [max(row["visible_after_seq"], row["seq"] or row["last_seq"] - limit) for row in behind],
        limit + 1,
    )
    return _grouped(await to_messages(connection, rows))


async def load_changed(
    connection: Connection, behind: Sequence[asyncpg.Record], limit: int
) -> Mapping[ConversationId, list[Message]]:
    """Messages that the device has and that changed since, ascending by revision, at most limit + 1 a conversation."""
    rows = await connection.fetch(
        "SELECT m.* FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) AS k (id, low, high, revision)"
        " CROSS JOIN LATERAL (SELECT * FROM messages WHERE conversation_id = k.id AND messages.revision > k.revision"
        " AND messages.revision > 0 AND seq > k.low AND seq <= k.high ORDER BY messages.revision LIMIT $5) AS m"
        " ORDER BY m.conversation_id, m.revision",
        [row["id"] for row in behind],
        [row["visible_after_seq"] for row in behind],
        [row["seq"] or 0 for row in behind],
        [row["revision"] for row in behind],
        limit + 1,
    )
    return _grouped(await to_messages(connection, rows))


def _grouped(messages: Sequence[Message]) -> Mapping[ConversationId, list[Message]]:
    grouped: dict[ConversationId, list[Message]] = defaultdict(list)
    for message in messages:
        grouped[message.conversation_id].append(message)
    return grouped
