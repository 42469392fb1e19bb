"""Statements about what each person has, by person: the list of conversations, and what changed in it.

Of conversations that are not large the inbox itself holds position and activity, so that an index finds a page. Of
large ones, whose members' inboxes no message writes, the row of the conversation does: each page looks at all of them
that the person is in.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import asyncpg

from services.messaging.kernel.model import ConversationId, Cursor, PageMark, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.sync.core.account import Snapshot, SyncToken
from services.runtime.postgres.database import Connection

_LAST_ID = UUID(int=2**128 - 1)
# Row comparisons with a bound that is always there: an index finds a page's first row, however far down it begins.
LIST = """
SELECT id, active_at FROM (
    (
        SELECT conversation_id AS id, active_at FROM inboxes
        WHERE user_id = $1 AND request = $2 AND NOT gone AND NOT large
            AND (active_at, conversation_id) < (coalesce($3::timestamptz, 'infinity'), $4::uuid)
        ORDER BY active_at DESC, conversation_id DESC LIMIT $5
    )
    UNION ALL
    (
        SELECT c.id, c.active_at FROM inboxes i JOIN conversations c ON c.id = i.conversation_id
        WHERE i.user_id = $1 AND i.large AND i.request = $2
            AND (c.active_at, c.id) < (coalesce($3::timestamptz, 'infinity'), $4::uuid)
        ORDER BY c.active_at DESC, c.id DESC LIMIT $5
    )
) AS both_kinds
ORDER BY active_at DESC, id DESC LIMIT $5
"""
# Up to the present: what this snapshot shows has ids below the next.
WALK = """
SELECT DISTINCT position, id FROM (
    (
        SELECT conversation_id AS id, position FROM inboxes
        WHERE user_id = $1 AND NOT large AND (position, conversation_id) > ($2, $3)
            AND NOT (gone AND position < $4)
        ORDER BY position, conversation_id LIMIT $5
    )
    UNION ALL
    (
        SELECT c.id, greatest(i.position, c.position) AS position
        FROM inboxes i JOIN conversations c ON c.id = i.conversation_id
        WHERE i.user_id = $1 AND i.large AND (greatest(i.position, c.position), c.id) > ($2, $3)
        ORDER BY position, id LIMIT $5
    )
    UNION ALL
    (
        SELECT conversation_id, position FROM inbox_moves
        WHERE user_id = $1 AND (position, conversation_id) > ($2, $3) AND position >= $4
        ORDER BY position, conversation_id LIMIT $5
    )
    UNION ALL
    (
        SELECT i.conversation_id AS id, moved.position
        FROM inboxes i CROSS JOIN LATERAL (
            SELECT max(r.moved_position) AS position FROM members r WHERE r.conversation_id = i.conversation_id
        ) AS moved
        WHERE i.user_id = $1 AND i.large AND i.conversation_id = ANY($6)
            AND (moved.position, i.conversation_id) > ($2, $3) AND moved.position >= $4
        ORDER BY position, id LIMIT $5
    )
) AS all_kinds
ORDER BY position, id LIMIT $5
"""
# OFFSET 0 keeps the planner from beginning with all that the person is in: it does not know whose rows are many.
_PLACE = """
CROSS JOIN LATERAL (
    SELECT visible_after_seq, request FROM members WHERE conversation_id = wanted.id AND user_id = $1 OFFSET 0
) AS m
CROSS JOIN LATERAL (SELECT * FROM conversations WHERE id = wanted.id OFFSET 0) AS c
"""
_HEAD = """
SELECT c.id, c.last_seq, cursor.seq, coalesce(cursor.revision, c.revision) AS revision,
    greatest(m.visible_after_seq, c.history_start_seq) AS visible_after_seq
"""
_CURSORS = "unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS cursor (id, seq, revision)"
_NAMED_BEHIND = f"""
{_HEAD}
FROM {_CURSORS} CROSS JOIN LATERAL (SELECT cursor.id) AS wanted {_PLACE}
WHERE m.request <> 'declined' AND (c.last_seq > cursor.seq OR c.revision > cursor.revision)
ORDER BY c.active_at, c.id LIMIT $5
"""
_HEADS = f"""
{_HEAD}
FROM unnest($5::uuid[]) AS wanted (id) {_PLACE}
LEFT JOIN {_CURSORS} ON cursor.id = wanted.id
WHERE m.request <> 'declined'
"""


async def load_snapshot(connection: Connection) -> Snapshot:
    """What this transaction sees."""
    row = await connection.fetchrow(
        "SELECT epoch, pg_snapshot_xmin(s)::text::bigint AS oldest_running,"
        " pg_snapshot_xmax(s)::text::bigint AS next_id"
        " FROM sync_epoch, pg_current_snapshot() AS s"
    )
    if row is None:
        raise RuntimeError("the table sync_epoch has no row")
    return Snapshot(row["epoch"], row["oldest_running"], row["next_id"])


async def list_inbox(
    connection: Connection, user_id: UserId, below: PageMark | None, limit: int, request: RequestState
) -> Sequence[asyncpg.Record]:
    """(id, active_at) of a page of the user's conversations that stand so, newest activity first."""
    found: list[asyncpg.Record] = await connection.fetch(
        LIST,
        user_id,
        request.value,
        below.active_at if below else None,
        below.conversation_id if below else _LAST_ID,
        limit,
    )
    return found


async def walk_inbox(
    connection: Connection, user_id: UserId, token: SyncToken, limit: int, named: Collection[ConversationId]
) -> Sequence[asyncpg.Record]:
    """(position, id) of what changed above the token's mark, in that order.

    Where only cursors of others moved in a large conversation, it comes if it is `named`.
    """
    found: list[asyncpg.Record] = await connection.fetch(
        WALK,
        user_id,
        token.mark.position,
        token.mark.conversation_id,
        token.begun_at,
        limit,
        list(named),
    )
    return found


async def load_named_behind(
    connection: Connection, user_id: UserId, cursors: Mapping[ConversationId, Cursor], limit: int
) -> list[asyncpg.Record]:
    """Those of the named conversations in which a device with these cursors lacks something."""
    if not cursors:
        return []
    found: list[asyncpg.Record] = await connection.fetch(_NAMED_BEHIND, user_id, *_columns(cursors), limit)
    return found


async def load_heads(
    connection: Connection,
    user_id: UserId,
    ids: Sequence[ConversationId],
    cursors: Mapping[ConversationId, Cursor],
) -> list[asyncpg.Record]:
    """Where the conversations and the device stand, of those that the user is in and did not decline."""
    found: list[asyncpg.Record] = await connection.fetch(_HEADS, user_id, *_columns(cursors), list(ids)) if ids else []
    return found


async def load_joined(
    connection: Connection, user_id: UserId, ids: Collection[ConversationId]
) -> Collection[ConversationId]:
    """Those of the conversations that the user is in and did not decline."""
    found = await connection.fetch(
        "SELECT conversation_id FROM members WHERE user_id = $1 AND conversation_id = ANY($2)"
        " AND request <> 'declined'",
        user_id,
        list(ids),
    )
    return {row["conversation_id"] for row in found}


async def count_conversations(connection: Connection, user_id: UserId, most: int) -> int:
    """In how many conversations the user is that were not declined, counted up to `most`."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM (SELECT FROM members WHERE user_id = $1 AND request <> 'declined' LIMIT $2) AS few",
        user_id,
        most,
    )
    return count


def _columns(cursors: Mapping[ConversationId, Cursor]) -> tuple[list[ConversationId], list[int], list[int]]:
    return (
        list(cursors),
        [cursor.seq for cursor in cursors.values()],
        [cursor.revision for cursor in cursors.values()],
    )
