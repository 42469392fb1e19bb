"""Statements about how each person keeps a conversation."""

from collections.abc import Collection
from datetime import datetime

from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.kernel.own_state import MAX_UNREAD, OwnState
from services.messaging.kernel.request import RequestState
from services.messaging.wire.storage import is_said
from services.runtime.postgres.database import Connection

_OWN_STATES = f"""
SELECT m.conversation_id, m.request, o.pinned, o.archived, o.marked_unread, o.muted_until,
    greatest(m.read_seq, m.own_read_seq) AS read_seq, (
    SELECT count(*) FROM (
        SELECT FROM messages x
        WHERE x.conversation_id = m.conversation_id
            AND x.seq > greatest(m.read_seq, m.own_read_seq, m.visible_after_seq)
            AND x.sender_id <> m.user_id AND {is_said("x")}
            AND (x.expires_at IS NULL OR x.expires_at > $4)
        LIMIT $3
    ) AS unread
) AS unread
-- OFFSET 0: by the whole key, however many conversations the person has.
FROM unnest($2::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (SELECT * FROM members WHERE conversation_id = wanted.id AND user_id = $1 OFFSET 0) AS m
LEFT JOIN LATERAL (SELECT * FROM own_states WHERE user_id = $1 AND conversation_id = wanted.id OFFSET 0) AS o ON true
"""  # noqa: S608


async def load_own_states(
    connection: Connection, user_id: UserId, ids: Collection[ConversationId], now: datetime
) -> dict[ConversationId, OwnState]:
    """How the user keeps those of the conversations that the user is in."""
    found = await connection.fetch(_OWN_STATES, user_id, list(ids), MAX_UNREAD, now)
    return {
        row["conversation_id"]: OwnState(
            pinned=bool(row["pinned"]),
            archived=bool(row["archived"]),
            marked_unread=bool(row["marked_unread"]),
            muted_until=row["muted_until"],
            unread=row["unread"],
            read_seq=row["read_seq"],
            request=RequestState(row["request"]),
        )
        for row in found
    }


async def write_own_state(
    connection: Connection, user_id: UserId, conversation_id: ConversationId, state: OwnState, now: datetime
) -> None:
    """Make the row what the state says."""
    await connection.execute(
        "INSERT INTO own_states (user_id, conversation_id, pinned, archived, marked_unread, muted_until, changed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_id, conversation_id) DO UPDATE SET"
        " pinned = excluded.pinned, archived = excluded.archived, marked_unread = excluded.marked_unread,"
        " muted_until = excluded.muted_until, changed_at = excluded.changed_at",
        user_id,
        conversation_id,
        state.pinned,
        state.archived,
        state.marked_unread,
        state.muted_until,
        now,
    )
