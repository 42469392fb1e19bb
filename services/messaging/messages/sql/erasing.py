"""The one place where the content of messages is erased: unsending, expiry, retention, deleted accounts, and view-once
messages use it."""

from collections import Counter
from collections.abc import Sequence

from services.messaging.attachments.sql.messages import release_attachments
from services.messaging.kernel import expiry
from services.messaging.kernel.content import EXPIRED
from services.messaging.kernel.model import ConversationId, Message
from services.messaging.wire.storage import to_columns
from services.runtime.postgres.database import Connection

# What hangs on a message and goes with its content, by (conversation_id, seq).
_HANGING = ("message_edits", "reactions", "poll_votes", "openings", "message_words", "pins")

_BLANK = """
UPDATE messages SET body = '', entities = NULL, call = NULL, content = NULL, attachments = NULL,
    edited_at = NULL, edit_count = 0, reply_to_seq = 0, forwarded = false, view_once = false
FROM unnest($1::uuid[], $2::bigint[]) AS k (id, number)
WHERE conversation_id = k.id AND seq = k.number
"""
_NEXT_REVISIONS = """
UPDATE conversations c SET revision = c.revision + k.count FROM unnest($1::uuid[], $2::bigint[]) AS k (id, count)
WHERE c.id = k.id RETURNING c.id, c.revision - k.count AS before
"""
_MARK_EXPIRED = f"""
UPDATE messages SET kind = '{EXPIRED.name}', revision = k.revision
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS k (id, number, revision)
WHERE conversation_id = k.id AND seq = k.number
"""  # noqa: S608
_BARE = """
UPDATE messages SET content = k.content, attachments = NULL, revision = k.revision
FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[]) AS k (id, number, content, revision)
WHERE conversation_id = k.id AND seq = k.number
"""


async def erase_hanging(connection: Connection, places: Sequence[tuple[ConversationId, int]]) -> None:
    """Erase what hangs on the messages at these places. Whatever else comes to hang on messages goes here."""
    for table in _HANGING:
        # Names of ours.
        await connection.execute(
            f"DELETE FROM {table} USING unnest($1::uuid[], $2::bigint[]) AS k (id, number)"  # noqa: S608
            f" WHERE {table}.conversation_id = k.id AND {table}.seq = k.number",
            *_columns(places),
        )
    await release_attachments(connection, places)


async def erase_content(connection: Connection, places: Sequence[tuple[ConversationId, int]]) -> None:
    """Erase all that the messages at these places said, from every table; their rows stay, blank.

    The caller holds the locks of the conversations, and gives the rows their kind and revision.
    """
    await connection.execute(_BLANK, *_columns(places))
    await erase_hanging(connection, places)


async def expire(connection: Connection, messages: Sequence[Message]) -> list[Message]:
    """Make tombstones of messages whose conversations the caller has locked; as they stand then, to be told."""
    expired = expiry.expire(messages, await _take_revisions(connection, messages))
    places = [(message.conversation_id, message.seq) for message in expired]
    await erase_content(connection, places)
    await connection.execute(_MARK_EXPIRED, *_columns(places), [message.revision for message in expired])
    return expired


async def release_files(connection: Connection, messages: Sequence[Message]) -> list[Message]:
    """Take their files from view-once messages whose conversations the caller has locked; as they stand then, to be
    told."""
    bare = expiry.release(messages, await _take_revisions(connection, messages))
    places = [(message.conversation_id, message.seq) for message in bare]
    contents = [to_columns(message.content).content for message in bare]
    await connection.execute(_BARE, *_columns(places), contents, [message.revision for message in bare])
    await release_attachments(connection, places)
    return bare


async def delete_messages(connection: Connection, places: Sequence[tuple[ConversationId, int]]) -> None:
    """Delete messages with all that hangs on them. The caller holds the locks of the conversations."""
    await erase_hanging(connection, places)
    await connection.execute(
        "DELETE FROM messages USING unnest($1::uuid[], $2::bigint[]) AS k (id, number)"
        " WHERE conversation_id = k.id AND seq = k.number",
        *_columns(places),
    )


async def _take_revisions(connection: Connection, messages: Sequence[Message]) -> dict[ConversationId, int]:
    """Counts a change of each message in its conversation; the revisions before those."""
    counts = Counter(message.conversation_id for message in messages)
    found = await connection.fetch(_NEXT_REVISIONS, list(counts), list(counts.values()))
    return {ConversationId(row["id"]): row["before"] for row in found}


def _columns(places: Sequence[tuple[ConversationId, int]]) -> tuple[list[ConversationId], list[int]]:
    return [id_ for id_, _ in places], [seq for _, seq in places]
