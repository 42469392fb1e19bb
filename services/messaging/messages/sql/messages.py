"""Statements about messages, their edits, reactions, votes and openings."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

import asyncpg

from services.messaging.conversations.sql.conversations import DIRECT_RECIPIENTS
from services.messaging.kernel.content import POLL, Content, kind_of
from services.messaging.kernel.model import (
    ConversationId,
    Draft,
    DraftKey,
    Edit,
    Message,
    MessageId,
    Reaction,
    UserId,
    Votes,
)
from services.messaging.kernel.request import RequestState
from services.messaging.messages.core.changes import MessageChange, VoteChange, gather_reactions, gather_votes
from services.messaging.messages.core.sequencing import ConversationStates
from services.messaging.messages.sql.erasing import erase_content
from services.messaging.wire.storage import entity_bytes, from_columns, to_attachments, to_columns, to_text
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection


def lock_statement(ids: Iterable[ConversationId]) -> str:
    """Locks conversations as `lock_counters` does, without parameters, so that it can go out with BEGIN."""
    # An id is a UUID by type and by construction here, so that nothing of a caller gets into the text.
    texts = ", ".join(f"'{UUID(int=conversation_id.int)}'" for conversation_id in ids)
    return f"SELECT 1 FROM conversations WHERE id IN ({texts}) ORDER BY id FOR UPDATE"  # noqa: S608


_STATES = f"""
SELECT k.conversation_id, k.sender_id, k.client_message_id, c.last_seq, c.active_at, c.facts, c.blocked, c.frozen,
    c.vanish_after_s, m.request, s.seq IS NOT NULL AS is_stored, {DIRECT_RECIPIENTS} AS recipients, o.is_accepted,
    EXISTS (
        SELECT FROM held_messages h WHERE h.conversation_id = c.id AND h.sender_id = k.sender_id AND h.seq = 0
    ) AS has_held,
    CASE WHEN o.is_accepted IS FALSE THEN (
        -- What people write has a key of theirs. What the retention deleted counts too, at least as much as it was.
        SELECT c.history_start_seq + count(*) FROM messages x
        WHERE x.conversation_id = c.id AND x.sender_id = k.sender_id AND NOT starts_with(x.client_message_id, chr(31))
    ) END AS written
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (conversation_id, sender_id, client_message_id)
JOIN conversations c ON c.id = k.conversation_id
LEFT JOIN members m ON m.conversation_id = k.conversation_id AND m.user_id = k.sender_id
-- Whether another member has accepted it; null while there is none.
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN EXISTS (
            SELECT FROM members x WHERE x.conversation_id = c.id AND x.user_id <> k.sender_id AND x.request = ''
        ) THEN true
        WHEN EXISTS (SELECT FROM members x WHERE x.conversation_id = c.id AND x.user_id <> k.sender_id) THEN false
    END AS is_accepted OFFSET 0
) o
LEFT JOIN messages s ON s.conversation_id = k.conversation_id AND s.sender_id = k.sender_id
    AND s.client_message_id = k.client_message_id
"""  # noqa: S608


async def load_states(connection: Connection, drafts: Sequence[Draft]) -> tuple[ConversationStates, list[DraftKey]]:
    """What the numbering looks at, and which of the keys are taken.

    A statement of its own, so that its snapshot is newer than the locks.
    """
    rows = await connection.fetch(
        _STATES,
        [draft.conversation_id for draft in drafts],
        [draft.sender_id for draft in drafts],
        [draft.client_message_id for draft in drafts],
    )
    members = [row for row in rows if row["request"] is not None]
    states = ConversationStates(
        last_seqs={row["conversation_id"]: row["last_seq"] for row in rows},
        last_times={row["conversation_id"]: row["active_at"] for row in rows},
        senders={(row["conversation_id"], row["sender_id"]): RequestState(row["request"]) for row in members},
        blocked={row["conversation_id"] for row in rows if row["blocked"]},
        frozen={row["conversation_id"] for row in rows if row["frozen"]},
        vanish_after={
            row["conversation_id"]: timedelta(seconds=row["vanish_after_s"]) for row in rows if row["vanish_after_s"]
        },
        versions={row["conversation_id"]: row["facts"] for row in rows},
        direct_recipients={row["conversation_id"]: row["recipients"] for row in rows},
        unaccepted={(row["conversation_id"], row["sender_id"]) for row in members if not row["is_accepted"]},
        sent_in_request={
            (row["conversation_id"], row["sender_id"]): row["written"] for row in members if row["written"] is not None
        },
        held={(row["conversation_id"], row["sender_id"]) for row in members if row["has_held"]},
    )
    return states, [DraftKey(*row[:3]) for row in rows if row["is_stored"]]


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


# Conversations that `known` names are not locked by the caller: they must have the known version and counter, and
# nobody may hold their lock. So a send by cached states waits for nobody, cannot deadlock, and takes no other's number.
_INSERT_MESSAGES = f"""
WITH row AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
        $8::text[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bigint[], $14::timestamptz[],
        $15::boolean[], $16::boolean[]) AS r (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind,
        body, entities, call, line, content, reply_to_seq, expires_at, forwarded, view_once)
),
top AS (
    SELECT conversation_id AS id, min(seq) - 1 AS before, max(seq) AS seq, max(sent_at) AS sent_at FROM row GROUP BY 1
),
held AS (
    SELECT c.id FROM top JOIN conversations c USING (id)
    LEFT JOIN unnest($17::uuid[], $18::bigint[]) AS known (id, facts) USING (id)
    WHERE known.facts IS NULL OR (c.last_seq = top.before AND c.facts = known.facts)
    FOR UPDATE OF c SKIP LOCKED
),
counted AS (
    UPDATE conversations c SET last_seq = top.seq, active_at = greatest(c.active_at, top.sent_at)
    FROM top JOIN held USING (id) WHERE c.id = top.id
    RETURNING c.id
),
stored AS (
    INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, entities, call,
        line, content, reply_to_seq, expires_at, forwarded, view_once)
    SELECT conversation_id, seq, id, sender_id, client_message_id, sent_at, kind, body, entities, call, line,
        content, reply_to_seq, expires_at, forwarded, view_once
    FROM row WHERE conversation_id IN (SELECT id FROM counted)
),
queued AS ({outbox.insertion(19, "key IN (SELECT id::text FROM counted)")})
SELECT id FROM counted
"""  # noqa: S608


async def insert_messages(
    connection: Connection,
    messages: Sequence[Message],
    events: Sequence[tuple[str, str, str, bytes]] = (),
    known_versions: Mapping[ConversationId, int] = MappingProxyType({}),
    traces: Sequence[str] = (),
) -> set[ConversationId]:
    """Insert the messages with rows for the outbox, and move the counters of their conversations, in one statement.

    `known_versions`: of the conversations that the caller has not locked, what its numbers rest on; `traces` are the
    events'. Gives the conversations whose messages are stored now; of the others, which have changed since, nothing is.
    """
    rows = await connection.fetch(
        _INSERT_MESSAGES,
        [message.conversation_id for message in messages],
        [message.seq for message in messages],
        [message.id for message in messages],
        [message.sender_id for message in messages],
        [message.client_message_id for message in messages],
        [message.sent_at for message in messages],
        *zip(*(to_columns(message.content) for message in messages), strict=True),
        [message.reply_to_seq for message in messages],
        [message.expires_at for message in messages],
        [message.forwarded for message in messages],
        [message.view_once for message in messages],
        list(known_versions.keys()),
        list(known_versions.values()),
        *outbox.columns(events, traces),
    )
    return {row["id"] for row in rows}


# All spellings of the emoji: rows from before hold them as devices sent them.
_TAKE_AWAY = (
    "DELETE FROM reactions WHERE conversation_id = $1 AND seq = $2 AND user_id = $4"
    " AND translate(emoji, U&'\\FE0E\\FE0F', '') = translate($3, U&'\\FE0E\\FE0F', '')"
)


# As Columns has them.
_SET_CONTENT = "kind = $3, body = $4, entities = $5, call = $6, line = $7, content = $8"


async def write_content(connection: Connection, conversation_id: ConversationId, seq: int, content: Content) -> None:
    """Make the content of a message what it is after a change, and leave the rest of its row."""
    await connection.execute(
        f"UPDATE messages SET {_SET_CONTENT} WHERE conversation_id = $1 AND seq = $2",  # noqa: S608
        conversation_id,
        seq,
        *to_columns(content),
    )


async def write_change(connection: Connection, change: MessageChange) -> None:
    """Make the rows of a message what it is after a change."""
    after = change.after
    key = (after.conversation_id, after.seq)
    await connection.execute("UPDATE conversations SET revision = $2 WHERE id = $1", key[0], after.revision)
    if change.reaction or change.vote:
        await connection.execute(
            "UPDATE messages SET revision = $3 WHERE conversation_id = $1 AND seq = $2", *key, after.revision
        )
    if change.vote:
        await _write_vote(connection, key, change.vote)
        return
    if change.reaction:
        statement = (
            "INSERT INTO reactions (conversation_id, seq, emoji, user_id) VALUES ($1, $2, $3, $4)"
            if change.reaction.present
            else _TAKE_AWAY
        )
        await connection.execute(statement, *key, change.reaction.emoji, change.reaction.user_id)
        return
    await connection.execute(
        f"UPDATE messages SET {_SET_CONTENT}, revision = $9, edited_at = $10, edit_count = $11, reply_to_seq = $12"  # noqa: S608
        " WHERE conversation_id = $1 AND seq = $2",
        *key,
        *to_columns(after.content),
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
            entity_bytes(change.edit.text),
            change.edit.written_at,
        )
    if kind_of(after.content).is_gone:
        await erase_content(connection, [key])
    else:
        # The words of the former text go with it; those of the new one come by the consumer.
        await connection.execute("DELETE FROM message_words WHERE conversation_id = $1 AND seq = $2", *key)


async def _write_vote(connection: Connection, key: tuple[ConversationId, int], vote: VoteChange) -> None:
    chosen = sorted(vote.option_indexes)
    await connection.execute(
        "DELETE FROM poll_votes WHERE conversation_id = $1 AND seq = $2 AND user_id = $3 AND option_index <> ALL($4)",
        *(*key, vote.user_id, chosen),
    )
    # Who stays with an option keeps the place there.
    await connection.execute(
        "INSERT INTO poll_votes (conversation_id, seq, user_id, option_index) SELECT $1, $2, $3, unnest($4::int[])"
        " ON CONFLICT DO NOTHING",
        *(*key, vote.user_id, chosen),
    )


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
