"""Statements about conversations and their members."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.messaging.kernel.errors import ConversationNotFound
from services.messaging.kernel.model import (
    AddAudience,
    Conversation,
    ConversationId,
    ConversationKind,
    Member,
    Pin,
    Role,
    UserId,
)
from services.messaging.kernel.request import RequestState
from services.runtime.postgres.database import Connection

# Whom the events of a direct conversation `c` are for; empty for a group, whose members the fan-out looks up.
DIRECT_RECIPIENTS = (
    "CASE WHEN c.pair_key IS NULL THEN '{}' ELSE ARRAY(SELECT m.user_id FROM members m"
    " WHERE m.conversation_id = c.id AND m.request <> 'declined') END"
)

# Of the candidates $2, with the keys $3 of their pairs with $1, those who share a conversation with $1 that both let
# in: by the pair's own, or else by what the candidate is in. Never by all that $1 is in, which may be very much.
CONTACTS = """
SELECT DISTINCT k.user_id FROM unnest($2::text[], $3::text[]) AS k (user_id, pair_key)
WHERE EXISTS (
    SELECT FROM conversations c WHERE c.pair_key = k.pair_key AND NOT c.blocked
        AND NOT EXISTS (SELECT FROM members m WHERE m.conversation_id = c.id AND m.request <> '')
) OR EXISTS (
    SELECT FROM (SELECT conversation_id FROM members WHERE user_id = k.user_id AND request = '' OFFSET 0) AS other
    CROSS JOIN LATERAL (
        SELECT FROM members WHERE conversation_id = other.conversation_id AND user_id = $1 AND request = '' OFFSET 0
    ) AS mine
    JOIN conversations c ON c.id = other.conversation_id AND NOT c.blocked
)
"""


_HEADS = """
SELECT c.*, pinned.seqs AS pinned_seqs, pinned.times AS pinned_times FROM conversations c
CROSS JOIN LATERAL (
    SELECT array_agg(p.seq ORDER BY p.pinned_at DESC, p.seq DESC) AS seqs,
        array_agg(p.pinned_at ORDER BY p.pinned_at DESC, p.seq DESC) AS times
    FROM pins p WHERE p.conversation_id = c.id
) AS pinned
WHERE c.id = ANY($1)
"""


async def load_conversations(
    connection: Connection, ids: Collection[ConversationId]
) -> dict[ConversationId, Conversation]:
    """The conversations that exist, with their members, also without any."""
    heads = await connection.fetch(_HEADS, list(ids))
    members = await connection.fetch(
        "SELECT * FROM members WHERE conversation_id = ANY($1) ORDER BY conversation_id, user_id", list(ids)
    )
    grouped: dict[UUID, list[Member]] = defaultdict(list)
    for row in members:
        grouped[row["conversation_id"]].append(_member(row))
    return {head["id"]: _conversation(head, tuple(grouped[head["id"]])) for head in heads}


async def lock_counters(connection: Connection, ids: Iterable[ConversationId]) -> dict[ConversationId, int]:
    """The counters of the conversations that exist, locked in one order, so that batches cannot deadlock."""
    rows = await connection.fetch(
        "SELECT id, last_seq FROM conversations WHERE id = ANY($1) ORDER BY id FOR UPDATE", list(ids)
    )
    return {row["id"]: row["last_seq"] for row in rows}


async def insert_conversation(
    connection: Connection, conversation: Conversation, *, pair_key: str | None, creation_key: str | None
) -> bool:
    """Insert it with its members, unless its key is taken; whether it was inserted."""
    inserted = await connection.fetchval(
        "INSERT INTO conversations (id, kind, pair_key, creation_key, active_at, created_at, title, avatar_ref,"
        " history_open, add_audience) VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9)"
        " ON CONFLICT DO NOTHING RETURNING id",
        conversation.id,
        conversation.kind.value,
        pair_key,
        creation_key,
        conversation.created_at,
        conversation.title,
        conversation.avatar_ref,
        conversation.history_open,
        conversation.add_audience.value,
    )
    if inserted is None:
        return False
    await insert_members(connection, conversation.id, conversation.members)
    return True


async def insert_members(connection: Connection, conversation_id: ConversationId, members: Sequence[Member]) -> None:
    """Insert members who are not there yet."""
    await connection.executemany(
        "INSERT INTO members (conversation_id, user_id, joined_at, read_seq, role, visible_after_seq, request,"
        " added_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            (
                *(conversation_id, m.user_id, m.joined_at, m.read_seq, m.role.value, m.visible_after_seq),
                *(m.request.value, m.added_by),
            )
            for m in members
        ],
    )


async def write_group(connection: Connection, before: Conversation, after: Conversation) -> None:
    """Make the rows of a locked group what it is after a change."""
    await connection.execute(
        "UPDATE conversations SET title = $2, avatar_ref = $3, history_open = $4, revision = $5, vanish_after_s = $6,"
        " add_audience = $7 WHERE id = $1",
        after.id,
        after.title,
        after.avatar_ref,
        after.history_open,
        after.revision,
        int(after.vanish_after.total_seconds()),
        after.add_audience.value,
    )
    gone = [member.user_id for member in before.members if after.member(member.user_id) is None]
    await connection.execute("DELETE FROM members WHERE conversation_id = $1 AND user_id = ANY($2)", after.id, gone)
    await insert_members(connection, after.id, [m for m in after.members if before.member(m.user_id) is None])
    await connection.execute(
        "UPDATE members m SET role = r.role FROM unnest($2::text[], $3::text[]) AS r (user_id, role)"
        " WHERE m.conversation_id = $1 AND m.user_id = r.user_id AND m.role <> r.role",
        after.id,
        [member.user_id for member in after.members],
        [member.role.value for member in after.members],
    )


async def write_history_start(connection: Connection, after: Conversation) -> None:
    """Say where the history of a locked conversation begins after its oldest messages were deleted."""
    await connection.execute(
        "UPDATE conversations SET history_start_seq = $2, revision = $3 WHERE id = $1",
        after.id,
        after.history_start_seq,
        after.revision,
    )


def _member(row: asyncpg.Record) -> Member:
    return Member(
        user_id=UserId(row["user_id"]),
        joined_at=row["joined_at"],
        read_seq=row["read_seq"],
        role=Role(row["role"]),
        visible_after_seq=row["visible_after_seq"],
        delivered_seq=max(row["delivered_seq"], row["read_seq"]),
        request=RequestState(row["request"]),
        added_by=UserId(row["added_by"]),
    )


def _conversation(row: asyncpg.Record, members: tuple[Member, ...]) -> Conversation:
    return Conversation(
        id=ConversationId(row["id"]),
        kind=ConversationKind(row["kind"]),
        members=members,
        last_seq=row["last_seq"],
        created_at=row["created_at"],
        title=row["title"],
        avatar_ref=row["avatar_ref"],
        history_open=row["history_open"],
        revision=row["revision"],
        vanish_after=timedelta(seconds=row["vanish_after_s"]),
        history_start_seq=row["history_start_seq"],
        blocked=row["blocked"],
        add_audience=AddAudience(row["add_audience"]),
        frozen=row["frozen"],
        # Without any, both are null.
        pins=tuple(map(Pin, row["pinned_seqs"] or (), row["pinned_times"] or ())),
    )


async def lock_conversation(connection: Connection, conversation_id: ConversationId) -> Conversation:
    """The conversation under its row's lock. Raises ConversationNotFound."""
    if not await lock_counters(connection, [conversation_id]):
        raise ConversationNotFound
    return (await load_conversations(connection, [conversation_id]))[conversation_id]


async def load_by_key(connection: Connection, column: str, key: str) -> Conversation | None:
    """The conversation of a pair or of a creation key."""
    # The column is one of two names of ours.
    found = await connection.fetchval(f"SELECT id FROM conversations WHERE {column} = $1", key)  # noqa: S608
    return (await load_conversations(connection, [found]))[found] if found else None
