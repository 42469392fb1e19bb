"""The one place where the content of messages is erased: unsending, expiry, retention and deleted accounts use it."""

from collections.abc import Sequence

from services.messaging.core.model import ConversationId
from services.messaging.rows.attachments import release_attachments
from services.runtime.db import Connection

# What hangs on a message and is content of it, by (conversation_id, seq).
_HANGING = ("message_edits", "reactions", "message_words")

_BLANK = """
UPDATE messages SET body = '', entities = NULL, call = NULL, edited_at = NULL, edit_count = 0, reply_to_seq = 0,
    attachments = NULL
FROM unnest($1::uuid[], $2::bigint[]) AS k (id, number)
WHERE conversation_id = k.id AND seq = k.number
"""


async def erase_content(connection: Connection, places: Sequence[tuple[ConversationId, int]]) -> None:
    """Erase all that the messages at these places said, from every table; their rows stay, blank.

    The caller holds the locks of the conversations, and gives the rows their kind and revision, or deletes them.
    """
    ids, seqs = [id_ for id_, _ in places], [seq for _, seq in places]
    await connection.execute(_BLANK, ids, seqs)
    for table in _HANGING:
        # Names of ours.
        await connection.execute(
            f"DELETE FROM {table} USING unnest($1::uuid[], $2::bigint[]) AS k (id, number)"  # noqa: S608
            f" WHERE {table}.conversation_id = k.id AND {table}.seq = k.number",
            ids,
            seqs,
        )
    await release_attachments(connection, places)
