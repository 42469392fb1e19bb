"""Messages out of their rows, with their edits, reactions, votes and openings."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from services.messaging.kernel.content import POLL, kind_of
from services.messaging.kernel.model import ConversationId, Edit, Message, MessageId, Reaction, UserId, Votes
from services.messaging.messages.core.changes import gather_reactions, gather_votes
from services.messaging.wire.storage import from_columns, to_attachments, to_text
from services.runtime.postgres.database import Connection


async def to_messages(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Message]:
    """Rows of `messages`, with their reactions, votes and openings."""
    changed = [row for row in rows if row["revision"] > 0]
    polls = [row for row in changed if row["kind"] == POLL.name]
    once = [row for row in changed if row["view_once"]]
    reactions = await _load_reactions(connection, changed) if changed else {}
    votes = await _load_votes(connection, polls) if polls else {}
    opened = await _load_openings(connection, once) if once else {}
    places = [(row["conversation_id"], row["seq"]) for row in rows]
    return [
        _message(row, reactions.get(place, ()), votes.get(place, ()), opened.get(place, ()))
        for row, place in zip(rows, places, strict=True)
    ]


async def load_message(connection: Connection, conversation_id: ConversationId, seq: int) -> Message | None:
    """One message."""
    rows = await connection.fetch(
        "SELECT * FROM messages WHERE conversation_id = $1 AND seq = $2", conversation_id, seq
    )
    messages = await to_messages(connection, rows)
    return messages[0] if messages else None


async def load_last(
    connection: Connection, user_id: UserId, ids: Sequence[ConversationId]
) -> dict[ConversationId, Message]:
    """The newest message of each of the conversations where the user may see it."""
    found = await connection.fetch(
        "SELECT m.* FROM unnest($1::uuid[]) AS wanted (id)"
        " CROSS JOIN LATERAL (SELECT visible_after_seq FROM members"
        " WHERE conversation_id = wanted.id AND user_id = $2 OFFSET 0) AS me"
        " CROSS JOIN LATERAL (SELECT last_seq FROM conversations WHERE id = wanted.id OFFSET 0) AS c"
        " CROSS JOIN LATERAL (SELECT * FROM messages WHERE conversation_id = wanted.id AND seq = c.last_seq"
        " OFFSET 0) AS m WHERE m.seq > me.visible_after_seq",
        ids,
        user_id,
    )
    return {message.conversation_id: message for message in await to_messages(connection, found)}


async def load_edits(connection: Connection, conversation_id: ConversationId, seq: int) -> list[Edit]:
    """The former texts of a message, the oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM message_edits WHERE conversation_id = $1 AND seq = $2 ORDER BY edit_no", conversation_id, seq
    )
    return [Edit(to_text(row["body"], row["entities"]), row["written_at"]) for row in rows]


async def _load_reactions(
    connection: Connection, rows: Sequence[asyncpg.Record]
) -> dict[tuple[UUID, int], tuple[Reaction, ...]]:
    found = await connection.fetch(
        "SELECT r.conversation_id, r.seq, r.emoji, r.user_id"
        " FROM unnest($1::uuid[], $2::bigint[]) AS k (conversation_id, seq)"
        " JOIN reactions r USING (conversation_id, seq) ORDER BY r.position",
        [row["conversation_id"] for row in rows],
        [row["seq"] for row in rows],
    )
    put: dict[tuple[UUID, int], list[tuple[str, UserId]]] = {}
    for row in found:
        put.setdefault((row["conversation_id"], row["seq"]), []).append((row["emoji"], UserId(row["user_id"])))
    return {key: gather_reactions(pairs) for key, pairs in put.items()}


async def _load_votes(
    connection: Connection, rows: Sequence[asyncpg.Record]
) -> dict[tuple[UUID, int], tuple[Votes, ...]]:
    found = await connection.fetch(
        "SELECT v.conversation_id, v.seq, v.option_index, v.user_id"
        " FROM unnest($1::uuid[], $2::bigint[]) AS k (conversation_id, seq)"
        " JOIN poll_votes v USING (conversation_id, seq) ORDER BY v.position",
        [row["conversation_id"] for row in rows],
        [row["seq"] for row in rows],
    )
    cast: dict[tuple[UUID, int], list[tuple[int, UserId]]] = {}
    for row in found:
        cast.setdefault((row["conversation_id"], row["seq"]), []).append((row["option_index"], UserId(row["user_id"])))
    return {key: gather_votes(pairs) for key, pairs in cast.items()}


async def _load_openings(
    connection: Connection, rows: Sequence[asyncpg.Record]
) -> dict[tuple[UUID, int], tuple[UserId, ...]]:
    found = await connection.fetch(
        "SELECT o.conversation_id, o.seq, array_agg(o.user_id ORDER BY o.position) AS user_ids"
        " FROM unnest($1::uuid[], $2::bigint[]) AS k (conversation_id, seq)"
        " JOIN openings o USING (conversation_id, seq) GROUP BY 1, 2",
        [row["conversation_id"] for row in rows],
        [row["seq"] for row in rows],
    )
    return {(row["conversation_id"], row["seq"]): tuple(map(UserId, row["user_ids"])) for row in found}


def _message(
    row: asyncpg.Record, reactions: tuple[Reaction, ...], votes: tuple[Votes, ...], opened_by: tuple[UserId, ...]
) -> Message:
    content = from_columns(row)
    return Message(
        id=MessageId(row["id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        seq=row["seq"],
        sender_id=UserId(row["sender_id"]),
        client_message_id=row["client_message_id"],
        sent_at=row["sent_at"],
        content=content,
        reply_to_seq=row["reply_to_seq"],
        revision=row["revision"],
        edited_at=row["edited_at"],
        edit_count=row["edit_count"],
        reactions=reactions,
        expires_at=row["expires_at"],
        # A release that does not know a kind leaves its files where it takes the rest away.
        attachments=to_attachments(row["attachments"]) if row["attachments"] and kind_of(content).is_said else (),
        forwarded=row["forwarded"],
        votes=votes,
        view_once=row["view_once"],
        opened_by=opened_by,
    )
