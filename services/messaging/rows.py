"""The statements that PostgresStore is made of, and rows as the core's types."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from services.messaging import encoding
from services.messaging.core.changes import MessageChange
from services.messaging.core.model import (
    CallRecord,
    Content,
    Conversation,
    ConversationId,
    ConversationKind,
    Cursor,
    Draft,
    DraftKey,
    Edit,
    Line,
    Member,
    Message,
    MessageId,
    Reaction,
    Role,
    Text,
    Unsent,
    UserId,
)
from services.messaging.core.own_state import MAX_UNREAD, OwnState
from services.messaging.core.searching import words_of
from services.runtime import outbox
from services.runtime.db import Connection


async def load_conversations(
    connection: Connection, ids: Collection[ConversationId]
) -> dict[ConversationId, Conversation]:
    """The conversations that exist, with their members, also without any."""
    heads = await connection.fetch("SELECT * FROM conversations WHERE id = ANY($1)", list(ids))
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


def lock_statement(ids: Iterable[ConversationId]) -> str:
    """Locks conversations as `lock_counters` does, without parameters, so that it can go out with BEGIN."""
    # An id is a UUID by type and by construction here, so that nothing of a caller gets into the text.
    texts = ", ".join(f"'{UUID(int=conversation_id.int)}'" for conversation_id in ids)
    return f"SELECT 1 FROM conversations WHERE id IN ({texts}) ORDER BY id FOR UPDATE"  # noqa: S608


async def load_places(
    connection: Connection, drafts: Sequence[Draft]
) -> tuple[dict[ConversationId, int], set[tuple[ConversationId, UserId]], list[DraftKey]]:
    """Of the locked conversations that exist: the counters, which of the senders are in them, and which keys are taken.

    A statement of its own, so that its snapshot is newer than the locks.
    """
    rows = await connection.fetch(
        "SELECT k.conversation_id, k.sender_id, k.client_message_id, c.last_seq,"
        " m.user_id IS NOT NULL AS is_member, s.seq IS NOT NULL AS is_stored"
        " FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (conversation_id, sender_id, client_message_id)"
        " JOIN conversations c ON c.id = k.conversation_id"
        " LEFT JOIN members m ON m.conversation_id = k.conversation_id AND m.user_id = k.sender_id"
        " LEFT JOIN messages s ON s.conversation_id = k.conversation_id AND s.sender_id = k.sender_id"
        " AND s.client_message_id = k.client_message_id",
        [draft.conversation_id for draft in drafts],
        [draft.sender_id for draft in drafts],
        [draft.client_message_id for draft in drafts],
    )
    return (
        {row["conversation_id"]: row["last_seq"] for row in rows},
        {(row["conversation_id"], row["sender_id"]) for row in rows if row["is_member"]},
        [DraftKey(*row[:3]) for row in rows if row["is_stored"]],
    )


async def load_stored(connection: Connection, keys: Sequence[DraftKey]) -> dict[DraftKey, Message]:
    """What was stored under these keys before."""
    rows = await connection.fetch(
        "SELECT m.* FROM unnest($1::uuid[], $2::text[], $3::text[])"
        " AS k (conversation_id, sender_id, client_message_id)"
        " JOIN messages m USING (conversation_id, sender_id, client_message_id)",
        [key.conversation_id for key in keys],
        [key.sender_id for key in keys],
        [key.client_message_id for key in keys],
    )
    messages = await to_messages(connection, rows)
    return {DraftKey(m.conversation_id, m.sender_id, m.client_message_id): m for m in messages}


async def to_messages(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Message]:
    """Rows of `messages`, with their reactions."""
    changed = [row for row in rows if row["revision"] > 0]
    reactions = await _load_reactions(connection, changed) if changed else {}
    return [_message(row, reactions.get((row["conversation_id"], row["seq"]), ())) for row in rows]


_INSERT_MESSAGES = f"""
WITH told AS ({outbox.insertion(13)}),
row AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
        $8::text[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bigint[]) AS r
        (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, entities, call, line,
        reply_to_seq)
),
counted AS (
    UPDATE conversations c SET last_seq = top.seq, active_at = greatest(c.active_at, top.sent_at)
    FROM (SELECT conversation_id, max(seq) AS seq, max(sent_at) AS sent_at FROM row GROUP BY 1) AS top
    WHERE c.id = top.conversation_id
)
INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, entities, call,
    line, reply_to_seq)
SELECT conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, entities, call, line, reply_to_seq
FROM row
"""  # noqa: S608


async def insert_messages(
    connection: Connection, messages: Sequence[Message], events: Sequence[tuple[str, str, str, bytes]] = ()
) -> None:
    """Insert the messages with rows for the outbox, and move the counters of their conversations, in one statement."""
    await connection.execute(
        _INSERT_MESSAGES,
        [message.conversation_id for message in messages],
        [message.seq for message in messages],
        [message.id for message in messages],
        [message.sender_id for message in messages],
        [message.client_message_id for message in messages],
        [message.sent_at for message in messages],
        *zip(*(_columns(message.content) for message in messages), strict=True),
        [message.reply_to_seq for message in messages],
        *outbox.columns(events),
    )


async def insert_conversation(
    connection: Connection, conversation: Conversation, *, pair_key: str | None, creation_key: str | None
) -> bool:
    """Insert it with its members, unless its key is taken; whether it was inserted."""
    inserted = await connection.fetchval(
        "INSERT INTO conversations (id, kind, pair_key, creation_key, active_at, created_at, title, avatar_ref,"
        " history_open) VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id",
        conversation.id,
        conversation.kind.value,
        pair_key,
        creation_key,
        conversation.created_at,
        conversation.title,
        conversation.avatar_ref,
        conversation.history_open,
    )
    if inserted is None:
        return False
    await insert_members(connection, conversation.id, conversation.members)
    return True


async def insert_members(connection: Connection, conversation_id: ConversationId, members: Sequence[Member]) -> None:
    """Insert members who are not there yet."""
    await connection.executemany(
        "INSERT INTO members (conversation_id, user_id, joined_at, read_seq, role, visible_after_seq)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        [(conversation_id, m.user_id, m.joined_at, m.read_seq, m.role.value, m.visible_after_seq) for m in members],
    )


async def write_group(connection: Connection, before: Conversation, after: Conversation) -> None:
    """Make the rows of a locked group what it is after a change."""
    await connection.execute(
        "UPDATE conversations SET title = $2, avatar_ref = $3, history_open = $4, revision = $5 WHERE id = $1",
        after.id,
        after.title,
        after.avatar_ref,
        after.history_open,
        after.revision,
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


async def write_change(connection: Connection, change: MessageChange) -> None:
    """Make the rows of a message what it is after a change."""
    after = change.after
    kind, body, entities, _, _ = _columns(after.content)
    key = (after.conversation_id, after.seq)
    await connection.execute("UPDATE conversations SET revision = $2 WHERE id = $1", key[0], after.revision)
    if change.reaction:
        await connection.execute(
            "UPDATE messages SET revision = $3 WHERE conversation_id = $1 AND seq = $2", *key, after.revision
        )
        statement = (
            "INSERT INTO reactions (conversation_id, seq, emoji, user_id) VALUES ($1, $2, $3, $4)"
            if change.reaction.present
            else "DELETE FROM reactions WHERE conversation_id = $1 AND seq = $2 AND emoji = $3 AND user_id = $4"
        )
        await connection.execute(statement, *key, change.reaction.emoji, change.reaction.user_id)
        return
    await connection.execute(
        "UPDATE messages SET kind = $3, body = $4, entities = $5, revision = $6, edited_at = $7, edit_count = $8,"
        " reply_to_seq = $9 WHERE conversation_id = $1 AND seq = $2",
        *key,
        kind,
        body,
        entities,
        after.revision,
        after.edited_at,
        after.edit_count,
        after.reply_to_seq,
    )
    if change.edit:
        await connection.execute(
            "INSERT INTO message_edits (conversation_id, seq, edit_no, body, entities, written_at)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            *key,
            after.edit_count,
            change.edit.text.text,
            encoding.entity_bytes(change.edit.text),
            change.edit.written_at,
        )
    # The words of the former text go with it; those of the new one come by the consumer.
    await connection.execute("DELETE FROM message_words WHERE conversation_id = $1 AND seq = $2", *key)
    if isinstance(after.content, Unsent):
        await connection.execute("DELETE FROM message_edits WHERE conversation_id = $1 AND seq = $2", *key)
        await connection.execute("DELETE FROM reactions WHERE conversation_id = $1 AND seq = $2", *key)


async def load_message(connection: Connection, conversation_id: ConversationId, seq: int) -> Message | None:
    """One message."""
    rows = await connection.fetch(
        "SELECT * FROM messages WHERE conversation_id = $1 AND seq = $2", conversation_id, seq
    )
    messages = await to_messages(connection, rows)
    return messages[0] if messages else None


async def index_words(connection: Connection, keys: Sequence[tuple[ConversationId, int]]) -> None:
    """Index the texts as they stand now; what is no text (any more) gets no words. Idempotent."""
    found = await connection.fetch(
        "SELECT m.conversation_id, m.seq, m.id, m.revision, m.body FROM unnest($1::uuid[], $2::bigint[])"
        " AS k (conversation_id, seq) JOIN messages m USING (conversation_id, seq) WHERE m.kind = 'text'"
        # Against an edit or an unsending in between, which takes the row's lock too.
        " ORDER BY m.conversation_id, m.seq FOR SHARE OF m",
        [conversation_id for conversation_id, _ in keys],
        [seq for _, seq in keys],
    )
    await connection.executemany(
        "INSERT INTO message_words (conversation_id, seq, message_id, revision, words)"
        " VALUES ($1, $2, $3, $4, array_to_tsvector($5::text[]))"
        " ON CONFLICT (conversation_id, seq) DO UPDATE SET revision = excluded.revision, words = excluded.words",
        [(row["conversation_id"], row["seq"], row["id"], row["revision"], words_of(row["body"])) for row in found],
    )


async def search_words(
    connection: Connection, user_id: UserId, query: str, within: ConversationId | None, below: UUID | None, limit: int
) -> list[Message]:
    """The newest texts with these words that the user may see, below a message id."""
    found = await connection.fetch(
        "SELECT m.* FROM message_words w"
        " JOIN members me ON me.conversation_id = w.conversation_id AND me.user_id = $1"
        " JOIN messages m ON m.conversation_id = w.conversation_id AND m.seq = w.seq"
        " WHERE w.words @@ $2::text::tsquery AND w.seq > me.visible_after_seq AND m.kind = 'text'"
        " AND ($3::uuid IS NULL OR w.conversation_id = $3) AND ($4::uuid IS NULL OR w.message_id < $4)"
        " ORDER BY w.message_id DESC LIMIT $5",
        user_id,
        query,
        within,
        below,
        limit,
    )
    return await to_messages(connection, found)


async def load_edits(connection: Connection, conversation_id: ConversationId, seq: int) -> list[Edit]:
    """The former texts of a message, the oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM message_edits WHERE conversation_id = $1 AND seq = $2 ORDER BY edit_no", conversation_id, seq
    )
    return [Edit(encoding.to_text(row["body"], row["entities"]), row["written_at"]) for row in rows]


_BEHIND = """
SELECT c.id, c.last_seq, cursor.seq, coalesce(cursor.revision, c.revision) AS revision, m.visible_after_seq
FROM members m
JOIN conversations c ON c.id = m.conversation_id
LEFT JOIN unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS cursor (id, seq, revision) ON cursor.id = c.id
WHERE m.user_id = $1 AND (
    cursor.id IS NULL
    OR c.last_seq > cursor.seq
    OR c.revision > cursor.revision
    OR EXISTS (SELECT FROM members r WHERE r.conversation_id = c.id AND r.read_moved_at >= $5)
    OR EXISTS (
        SELECT FROM own_states o WHERE o.user_id = $1 AND o.conversation_id = c.id AND o.changed_at >= $5
    )
)
ORDER BY c.active_at, c.id
LIMIT $6
"""


async def load_behind(
    connection: Connection,
    user_id: UserId,
    cursors: Mapping[ConversationId, Cursor],
    read_since: datetime | None,
    limit: int,
) -> list[asyncpg.Record]:
    """The user's conversations in which a device with these cursors lacks something."""
    rows: list[asyncpg.Record] = await connection.fetch(
        _BEHIND,
        user_id,
        list(cursors),
        [cursor.seq for cursor in cursors.values()],
        [cursor.revision for cursor in cursors.values()],
        read_since,
        limit,
    )
    return rows


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


_OWN_STATES = """
SELECT m.conversation_id, o.pinned, o.archived, o.marked_unread, o.muted_until, (
    SELECT count(*) FROM (
        SELECT FROM messages x
        WHERE x.conversation_id = m.conversation_id AND x.seq > greatest(m.read_seq, m.visible_after_seq)
            AND x.sender_id <> m.user_id AND x.kind IN ('text', 'call')
        LIMIT $3
    ) AS unread
) AS unread
FROM members m
LEFT JOIN own_states o ON o.user_id = m.user_id AND o.conversation_id = m.conversation_id
WHERE m.user_id = $1 AND m.conversation_id = ANY($2)
"""


async def load_own_states(
    connection: Connection, user_id: UserId, ids: Collection[ConversationId]
) -> dict[ConversationId, OwnState]:
    """How the user keeps those of the conversations that the user is in."""
    found = await connection.fetch(_OWN_STATES, user_id, list(ids), MAX_UNREAD)
    return {
        row["conversation_id"]: OwnState(
            pinned=bool(row["pinned"]),
            archived=bool(row["archived"]),
            marked_unread=bool(row["marked_unread"]),
            muted_until=row["muted_until"],
            unread=row["unread"],
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


def _grouped(messages: Sequence[Message]) -> Mapping[ConversationId, list[Message]]:
    grouped: dict[ConversationId, list[Message]] = defaultdict(list)
    for message in messages:
        grouped[message.conversation_id].append(message)
    return grouped


async def _load_reactions(
    connection: Connection, rows: Sequence[asyncpg.Record]
) -> dict[tuple[UUID, int], tuple[Reaction, ...]]:
    found = await connection.fetch(
        "SELECT r.conversation_id, r.seq, r.emoji, array_agg(r.user_id ORDER BY r.position) AS users"
        " FROM unnest($1::uuid[], $2::bigint[]) AS k (conversation_id, seq)"
        ' JOIN reactions r USING (conversation_id, seq) GROUP BY 1, 2, 3 ORDER BY 1, 2, r.emoji COLLATE "C"',
        [row["conversation_id"] for row in rows],
        [row["seq"] for row in rows],
    )
    grouped: dict[tuple[UUID, int], tuple[Reaction, ...]] = {}
    for row in found:
        key = (row["conversation_id"], row["seq"])
        grouped[key] = (*grouped.get(key, ()), Reaction(row["emoji"], tuple(row["users"])))
    return grouped


def _columns(content: Content) -> tuple[str, str, bytes | None, bytes | None, bytes | None]:
    """kind, body, entities, call, line."""
    kind = encoding.kind_of(content)
    match content:
        case Text():
            return kind, content.text, encoding.entity_bytes(content), None, None
        case CallRecord():
            return kind, "", None, encoding.call_message(content).SerializeToString(), None
        case Line():
            return kind, "", None, None, encoding.line_message(content).SerializeToString()
        case Unsent():
            return kind, "", None, None, None


def _content(row: asyncpg.Record) -> Content:
    match row["kind"]:
        case "text":
            return encoding.to_text(row["body"], row["entities"])
        case "call":
            return encoding.to_call(row["call"])
        case "line":
            return encoding.to_line(row["line"])
        case _:
            return Unsent()


def _message(row: asyncpg.Record, reactions: tuple[Reaction, ...]) -> Message:
    return Message(
        id=MessageId(row["id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        seq=row["seq"],
        sender_id=UserId(row["sender_id"]),
        client_message_id=row["client_message_id"],
        sent_at=row["sent_at"],
        content=_content(row),
        reply_to_seq=row["reply_to_seq"],
        revision=row["revision"],
        edited_at=row["edited_at"],
        edit_count=row["edit_count"],
        reactions=reactions,
    )


def _member(row: asyncpg.Record) -> Member:
    return Member(
        UserId(row["user_id"]), row["joined_at"], row["read_seq"], Role(row["role"]), row["visible_after_seq"]
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
    )
