"""The statements that append messages: what their numbers rest on, and the rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

from services.messaging.conversations.sql.conversations import DIRECT_RECIPIENTS
from services.messaging.kernel.model import ConversationId, Draft, DraftKey, Message
from services.messaging.kernel.request import RequestState
from services.messaging.messages.core.sequencing import ConversationStates
from services.messaging.messages.sql.reading import to_messages
from services.messaging.wire.storage import to_columns
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
unchanged AS (
    SELECT c.id FROM top JOIN conversations c USING (id)
    LEFT JOIN unnest($17::uuid[], $18::bigint[]) AS known (id, facts) USING (id)
    WHERE known.facts IS NULL OR (c.last_seq = top.before AND c.facts = known.facts)
    FOR UPDATE OF c SKIP LOCKED
),
counted AS (
    UPDATE conversations c SET last_seq = top.seq, active_at = greatest(c.active_at, top.sent_at)
    FROM top JOIN unchanged USING (id) WHERE c.id = top.id
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
