"""PostgreSQL: the truth of conversations and messages."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from services.messaging import encoding
from services.messaging.core import (
    CallRecord,
    Conversation,
    ConversationId,
    ConversationKind,
    Delta,
    Draft,
    DraftKey,
    Member,
    Message,
    MessageId,
    MessagingError,
    PageMark,
    Text,
    UserId,
    pair_key,
    place_drafts,
)
from services.runtime import outbox
from services.runtime.db import Connection, Database
from services.runtime.ids import NewId

TOPIC = "messaging.events.v1"


class PostgresStore:
    """See ports.Store. `wake` is told the conversations whose events were committed."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay, new_id: NewId) -> None:
        self._database = database
        self._relay = relay
        self._new_id = new_id

    async def open_direct(self, conversation: Conversation) -> Conversation:
        key = pair_key(conversation.members[0].user_id, conversation.members[1].user_id)
        async with self._database.transaction() as connection:
            inserted = await connection.fetchval(
                "INSERT INTO conversations (id, kind, pair_key, active_at, created_at) VALUES ($1, $2, $3, $4, $4)"
                " ON CONFLICT (pair_key) DO NOTHING RETURNING id",
                conversation.id,
                conversation.kind.value,
                key,
                conversation.created_at,
            )
            if inserted is None:
                existing = await connection.fetchval("SELECT id FROM conversations WHERE pair_key = $1", key)
                return (await _conversations(connection, [existing]))[existing]
            await connection.executemany(
                "INSERT INTO members (conversation_id, user_id, joined_at) VALUES ($1, $2, $3)",
                [(conversation.id, member.user_id, member.joined_at) for member in conversation.members],
            )
            event = encoding.conversation_created(conversation)
            await outbox.append(connection, str(conversation.id), [(TOPIC, str(conversation.id), event)])
        self._relay.wake(str(conversation.id))
        return conversation

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        async with self._database.connection() as connection:
            return (await _conversations(connection, [conversation_id])).get(conversation_id)

    async def list_conversations(
        self, user_id: UserId, below: PageMark | None, limit: int
    ) -> Sequence[tuple[Conversation, Message | None, datetime]]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT c.id, c.active_at FROM conversations c JOIN members m ON m.conversation_id = c.id"
                " WHERE m.user_id = $1 AND ($2::timestamptz IS NULL OR (c.active_at, c.id) < ($2, $3::uuid))"
                " ORDER BY c.active_at DESC, c.id DESC LIMIT $4",
                user_id,
                below.active_at if below else None,
                below.conversation_id if below else None,
                limit,
            )
            ids = [row["id"] for row in rows]
            conversations = await _conversations(connection, ids)
            last = await connection.fetch(
                "SELECT m.* FROM unnest($1::uuid[]) AS wanted (id) JOIN conversations c ON c.id = wanted.id"
                " JOIN messages m ON m.conversation_id = c.id AND m.seq = c.last_seq",
                ids,
            )
        last_of = {row["conversation_id"]: _message(row) for row in last}
        return [(conversations[row["id"]], last_of.get(row["id"]), row["active_at"]) for row in rows]

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        ids = {draft.conversation_id for draft in drafts}
        async with self._database.transaction() as connection:
            members = await _member_pairs(connection, drafts)
            last_seqs = await _lock(connection, ids)
            # After the lock, so that a concurrent send of the same key is seen.
            stored = await _stored(connection, [draft.key for draft in drafts])
            placement = place_drafts(drafts, last_seqs, lambda *pair: pair in members, stored)
            if placement.inserted:
                await _insert(connection, placement.inserted)
                await outbox.append_many(connection, [_record(message) for message in placement.inserted])
        for conversation_id in {message.conversation_id for message in placement.inserted}:
            self._relay.wake(str(conversation_id))
        return placement.outcomes

    async def list_messages(
        self, conversation_id: ConversationId, before_seq: int | None, limit: int
    ) -> Sequence[Message]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT * FROM messages WHERE conversation_id = $1 AND ($2::bigint IS NULL OR seq < $2)"
                " ORDER BY seq DESC LIMIT $3",
                conversation_id,
                before_seq,
                limit,
            )
        return [_message(row) for row in rows]

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, int],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
    ) -> Sequence[Delta]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_SYNC, user_id, list(cursors), list(cursors.values()), read_since, max_deltas)
            conversations = await _conversations(connection, [row["id"] for row in rows])
            wanted = {row["id"]: row["cursor"] for row in rows}
            messages = await _messages_after(connection, wanted, conversations, limit)
        return [Delta(conversations[id_], tuple(messages[id_][:limit]), len(messages[id_]) > limit) for id_ in wanted]

    async def move_read_cursor(
        self, conversation_id: ConversationId, user_id: UserId, seq: int, now: datetime
    ) -> int | None:
        async with self._database.transaction() as connection:
            read_seq: int | None = await connection.fetchval(
                "UPDATE members m SET read_seq = LEAST($3, c.last_seq), read_moved_at = $4 FROM conversations c"
                " WHERE c.id = m.conversation_id AND m.conversation_id = $1 AND m.user_id = $2"
                " AND m.read_seq < LEAST($3, c.last_seq) RETURNING m.read_seq",
                conversation_id,
                user_id,
                seq,
                now,
            )
            if read_seq is None:
                unmoved: int | None = await connection.fetchval(
                    "SELECT read_seq FROM members WHERE conversation_id = $1 AND user_id = $2", conversation_id, user_id
                )
                return unmoved
            event = encoding.read_cursor_moved(self._new_id(now), conversation_id, user_id, read_seq, now)
            await outbox.append(connection, str(conversation_id), [(TOPIC, str(conversation_id), event)])
        self._relay.wake(str(conversation_id))
        return read_seq

    async def members_of(
        self, conversation_ids: Collection[ConversationId]
    ) -> Mapping[ConversationId, Sequence[UserId]]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT conversation_id, array_agg(user_id ORDER BY user_id) AS users FROM members"
                " WHERE conversation_id = ANY($1) GROUP BY conversation_id",
                list(conversation_ids),
            )
        return {row["conversation_id"]: row["users"] for row in rows}

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT DISTINCT other.user_id FROM members mine"
                " JOIN members other ON other.conversation_id = mine.conversation_id"
                " WHERE mine.user_id = $1 AND other.user_id = ANY($2) AND other.user_id <> $1",
                user_id,
                list(candidates),
            )
        return [row["user_id"] for row in rows]


_SYNC = """
SELECT c.id, coalesce(cursor.seq, 0) AS cursor
FROM members m
JOIN conversations c ON c.id = m.conversation_id
LEFT JOIN unnest($2::uuid[], $3::bigint[]) AS cursor (id, seq) ON cursor.id = c.id
WHERE m.user_id = $1 AND (
    cursor.id IS NULL
    OR c.last_seq > cursor.seq
    OR EXISTS (SELECT FROM members r WHERE r.conversation_id = c.id AND r.read_moved_at >= $4)
)
ORDER BY c.active_at, c.id
LIMIT $5
"""


async def _conversations(connection: Connection, ids: Collection[ConversationId]) -> dict[ConversationId, Conversation]:
    rows = await connection.fetch(
        "SELECT c.*, m.user_id, m.joined_at, m.read_seq FROM conversations c"
        " JOIN members m ON m.conversation_id = c.id WHERE c.id = ANY($1) ORDER BY c.id, m.user_id",
        list(ids),
    )
    grouped: dict[ConversationId, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        grouped[row["id"]].append(row)
    return {id_: _conversation(group) for id_, group in grouped.items()}


def _conversation(rows: Sequence[asyncpg.Record]) -> Conversation:
    head = rows[0]
    members = tuple(Member(UserId(row["user_id"]), row["joined_at"], row["read_seq"]) for row in rows)
    kind = ConversationKind(head["kind"])
    return Conversation(head["id"], kind, members, head["last_seq"], head["created_at"])


def _message(row: asyncpg.Record) -> Message:
    return Message(
        id=MessageId(row["id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        seq=row["seq"],
        sender_id=UserId(row["sender_id"]),
        client_message_id=row["client_message_id"],
        sent_at=row["sent_at"],
        content=encoding.to_content(row["kind"], row["body"], row["call"]),
    )


def _record(message: Message) -> tuple[str, str, str, bytes]:
    key = str(message.conversation_id)
    return (key, TOPIC, key, encoding.message_sent(message))


async def _member_pairs(connection: Connection, drafts: Sequence[Draft]) -> set[tuple[ConversationId, UserId]]:
    rows = await connection.fetch(
        "SELECT conversation_id, user_id FROM members JOIN unnest($1::uuid[], $2::text[])"
        " AS asked (conversation_id, user_id) USING (conversation_id, user_id)",
        [draft.conversation_id for draft in drafts],
        [draft.sender_id for draft in drafts],
    )
    return {(row["conversation_id"], row["user_id"]) for row in rows}


async def _lock(connection: Connection, ids: Iterable[ConversationId]) -> dict[ConversationId, int]:
    """The counters of the conversations that exist, locked in one order, so that batches cannot deadlock."""
    rows = await connection.fetch(
        "SELECT id, last_seq FROM conversations WHERE id = ANY($1) ORDER BY id FOR UPDATE", list(ids)
    )
    return {row["id"]: row["last_seq"] for row in rows}


async def _stored(connection: Connection, keys: Sequence[DraftKey]) -> dict[DraftKey, Message]:
    rows = await connection.fetch(
        "SELECT m.* FROM unnest($1::uuid[], $2::text[], $3::text[])"
        " AS k (conversation_id, sender_id, client_message_id)"
        " JOIN messages m USING (conversation_id, sender_id, client_message_id)",
        [key.conversation_id for key in keys],
        [key.sender_id for key in keys],
        [key.client_message_id for key in keys],
    )
    messages = [_message(row) for row in rows]
    return {DraftKey(m.conversation_id, m.sender_id, m.client_message_id): m for m in messages}


async def _insert(connection: Connection, messages: Sequence[Message]) -> None:
    """Insert the messages and move the counters of their conversations, in one statement."""
    await connection.execute(
        "WITH row AS (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[],"
        " $6::timestamptz[], $7::text[], $8::text[], $9::bytea[])"
        " AS r (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, call)),"
        " counted AS (UPDATE conversations c SET last_seq = top.seq, active_at = greatest(c.active_at, top.sent_at)"
        " FROM (SELECT conversation_id, max(seq) AS seq, max(sent_at) AS sent_at FROM row GROUP BY 1) AS top"
        " WHERE c.id = top.conversation_id)"
        " INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, call)"
        " SELECT conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, call FROM row",
        [message.conversation_id for message in messages],
        [message.seq for message in messages],
        [message.id for message in messages],
        [message.sender_id for message in messages],
        [message.client_message_id for message in messages],
        [message.sent_at for message in messages],
        ["text" if isinstance(message.content, Text) else "call" for message in messages],
        [message.content.text if isinstance(message.content, Text) else "" for message in messages],
        [_call_bytes(message) for message in messages],
    )


def _call_bytes(message: Message) -> bytes | None:
    if isinstance(message.content, CallRecord):
        return encoding.call_message(message.content).SerializeToString()
    return None


async def _messages_after(
    connection: Connection,
    cursors: Mapping[ConversationId, int],
    conversations: Mapping[ConversationId, Conversation],
    limit: int,
) -> Mapping[UUID, list[Message]]:
    """Ascending, at most limit + 1 a conversation; for a conversation that is new to the device, the newest page."""
    starts = [seq if seq > 0 else max(0, conversations[id_].last_seq - limit) for id_, seq in cursors.items()]
    rows = await connection.fetch(
        "SELECT m.* FROM unnest($1::uuid[], $2::bigint[]) AS k (id, seq) CROSS JOIN LATERAL ("
        " SELECT * FROM messages WHERE conversation_id = k.id AND messages.seq > k.seq"
        " ORDER BY messages.seq LIMIT $3) AS m ORDER BY m.conversation_id, m.seq",
        list(cursors),
        starts,
        limit + 1,
    )
    grouped: dict[UUID, list[Message]] = defaultdict(list)
    for row in rows:
        grouped[row["conversation_id"]].append(_message(row))
    return grouped
