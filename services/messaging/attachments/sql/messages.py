"""Statements about the attachments of messages, within the transactions of messages."""

from collections.abc import Sequence
from datetime import datetime

from services.messaging.attachments.core.uploads import UPLOADS_PREFIX
from services.messaging.attachments.core.view_once import kept_until
from services.messaging.attachments.sql.dooming import DOOM_AGAIN
from services.messaging.kernel.model import AttachmentId, ConversationId, Draft, Message
from services.messaging.wire.storage import attachment_bytes
from services.runtime.postgres.database import Connection


async def lock_unused(connection: Connection, drafts: Sequence[Draft]) -> set[AttachmentId]:
    """Which attachments of the drafts are in no message yet; they are locked, in one order."""
    rows = await connection.fetch(
        "SELECT id FROM attachments WHERE id = ANY($1) AND conversation_id IS NULL ORDER BY id FOR UPDATE",
        [attachment.id for draft in drafts for attachment in draft.attachments],
    )
    return {AttachmentId(row["id"]) for row in rows}


async def attach(connection: Connection, messages: Sequence[Message]) -> None:
    """Give messages that were just inserted their attachments."""
    placed = [(attachment.id, message) for message in messages for attachment in message.attachments]
    await connection.execute(
        "UPDATE attachments a SET conversation_id = k.conversation_id, seq = k.seq, release_at = k.release_at"
        " FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[])"
        " AS k (id, conversation_id, seq, release_at) WHERE a.id = k.id",
        [attachment_id for attachment_id, _ in placed],
        [message.conversation_id for _, message in placed],
        [message.seq for _, message in placed],
        [kept_until(message) for _, message in placed],
    )
    await connection.execute(
        "UPDATE messages m SET attachments = k.attachments"
        " FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS k (conversation_id, seq, attachments)"
        " WHERE m.conversation_id = k.conversation_id AND m.seq = k.seq",
        [message.conversation_id for message in messages],
        [message.seq for message in messages],
        [attachment_bytes(message.attachments) for message in messages],
    )


async def keep_until(connection: Connection, ids: Sequence[AttachmentId], until: datetime) -> None:
    """How long files that are in no message wait for one: what is held for a review keeps them, and lets them go."""
    if ids:
        await connection.execute(
            "UPDATE attachments SET unused_until = $2 WHERE id = ANY($1) AND conversation_id IS NULL", list(ids), until
        )


async def set_release(
    connection: Connection, place: tuple[ConversationId, int], release_at: datetime, *, is_last: bool
) -> None:
    """When the file of a view-once message goes: then, where everybody has opened it, and else not before."""
    due = "$3" if is_last else "greatest(release_at, $3)"
    await connection.execute(
        f"UPDATE attachments SET release_at = {due} WHERE conversation_id = $1 AND seq = $2",  # noqa: S608
        *(*place, release_at),
    )


async def release_attachments(connection: Connection, places: Sequence[tuple[ConversationId, int]]) -> None:
    """Forget the attachments of the messages at these places, whose content goes, and queue their objects for deletion.

    Those that another file has, and those of what was reported, stay: see the store's claim_deletes.
    """
    await connection.execute(
        "WITH gone AS (DELETE FROM attachments a"  # noqa: S608
        " USING unnest($1::uuid[], $2::bigint[]) AS k (conversation_id, seq)"
        " WHERE a.conversation_id = k.conversation_id AND a.seq = k.seq"
        " RETURNING coalesce(a.object_id, a.id) AS object, a.put_until)"
        " INSERT INTO doomed_objects (object_key, put_until) SELECT $3 || object, max(put_until) FROM gone"
        f" GROUP BY object ORDER BY object {DOOM_AGAIN}",
        [conversation_id for conversation_id, _ in places],
        [seq for _, seq in places],
        UPLOADS_PREFIX,
    )
