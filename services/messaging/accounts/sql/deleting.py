"""Statements that take a person out of what they left behind."""

from collections.abc import Sequence
from datetime import datetime

from services.messaging.accounts.core.personal_columns import PersonalColumn
from services.messaging.attachments.core.uploads import UPLOADS_PREFIX
from services.messaging.attachments.sql.dooming import DOOM_AGAIN
from services.messaging.kernel.content import EXPIRED, without
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    UserId,
    direct_recipients,
)
from services.messaging.messages.sql.changing import write_content
from services.messaging.messages.sql.erasing import erase_content
from services.messaging.messages.sql.reading import to_messages
from services.messaging.wire import topics
from services.messaging.wire.events import message_changed, with_recipients
from services.messaging.wire.storage import from_columns, is_said
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection

_NUMBER_CHANGES = f"""
WITH changed AS (SELECT seq, place FROM unnest($2::bigint[]) WITH ORDINALITY AS k (seq, place)),
counted AS (UPDATE conversations SET revision = revision + cardinality($2) WHERE id = $1)
UPDATE messages m SET revision = $3 + changed.place, kind = CASE WHEN $4 THEN '{EXPIRED.name}' ELSE m.kind END
FROM changed WHERE m.conversation_id = $1 AND m.seq = changed.seq
"""  # noqa: S608


async def expire_messages(
    connection: Connection, conversation: Conversation, user_id: UserId, limit: int
) -> Sequence[int]:
    """Erase some of what the person wrote in a locked conversation; the places stay. Returns their seqs."""
    found = await connection.fetch(
        f"SELECT m.seq FROM messages m WHERE m.conversation_id = $1 AND m.sender_id = $2 AND {is_said('m')}"  # noqa: S608
        " ORDER BY m.seq LIMIT $3",
        conversation.id,
        user_id,
        limit,
    )
    seqs = [row["seq"] for row in found]
    if seqs:
        await erase_content(connection, [(conversation.id, seq) for seq in seqs])
        await connection.execute(_NUMBER_CHANGES, conversation.id, seqs, conversation.revision, True)
    return seqs


async def withdraw_reactions(
    connection: Connection, conversation: Conversation, user_id: UserId, limit: int
) -> Sequence[int]:
    """Take some of the person's reactions away in a locked conversation. Returns the seqs of the messages."""
    return await _withdraw(connection, "reactions", conversation, user_id, limit)


async def withdraw_votes(
    connection: Connection, conversation: Conversation, user_id: UserId, limit: int
) -> Sequence[int]:
    """Take some of the person's votes back in a locked conversation. Returns the seqs of the polls."""
    return await _withdraw(connection, "poll_votes", conversation, user_id, limit)


async def withdraw_openings(
    connection: Connection, conversation: Conversation, user_id: UserId, limit: int
) -> Sequence[int]:
    """Forget that the person opened some of the view-once messages of a locked conversation. Returns their seqs."""
    return await _withdraw(connection, "openings", conversation, user_id, limit)


async def _withdraw(
    connection: Connection, table: str, conversation: Conversation, user_id: UserId, limit: int
) -> Sequence[int]:
    found = await connection.fetch(
        # A name of ours.
        f"SELECT DISTINCT seq FROM {table} WHERE conversation_id = $1 AND user_id = $2 ORDER BY seq LIMIT $3",  # noqa: S608
        conversation.id,
        user_id,
        limit,
    )
    seqs = [row["seq"] for row in found]
    if seqs:
        await connection.execute(
            f"DELETE FROM {table} WHERE conversation_id = $1 AND user_id = $2 AND seq = ANY($3)",  # noqa: S608
            conversation.id,
            user_id,
            seqs,
        )
        await connection.execute(_NUMBER_CHANGES, conversation.id, seqs, conversation.revision, False)
    return seqs


async def withdraw_name(
    connection: Connection, conversation: Conversation, user_id: UserId, limit: int
) -> Sequence[int]:
    """Take the person out of some of what others said that names them, in a locked conversation: the others keep it.

    Returns the seqs of the messages.
    """
    found = await connection.fetch(
        "SELECT seq, kind, body, entities, call, line, content FROM messages WHERE conversation_id = $1"
        " AND (position(convert_to($2, 'UTF8') IN call) > 0 OR position(convert_to($2, 'UTF8') IN content) > 0)"
        " ORDER BY seq",
        conversation.id,
        user_id,
    )
    contents = [(row["seq"], from_columns(row)) for row in found]
    left = [(seq, content, without(content, user_id)) for seq, content in contents]
    # An id may be a part of another one.
    mine = [(seq, after) for seq, before, after in left if after != before][:limit]
    for seq, after in mine:
        await write_content(connection, conversation.id, seq, after)
    seqs = [seq for seq, _ in mine]
    if seqs:
        await connection.execute(_NUMBER_CHANGES, conversation.id, seqs, conversation.revision, False)
    return seqs


async def tell_changes(
    connection: Connection, conversation: Conversation, seqs: Sequence[int], new_id: NewId, now: datetime
) -> None:
    """Events of messages that were changed, for everybody who sees the conversation."""
    found = await connection.fetch(
        "SELECT * FROM messages WHERE conversation_id = $1 AND seq = ANY($2) ORDER BY revision", conversation.id, seqs
    )
    key, recipients = str(conversation.id), direct_recipients(conversation)
    events = [message_changed(new_id(now), message, now) for message in await to_messages(connection, found)]
    addressed = [with_recipients(event, recipients) if recipients else event for event in events]
    await outbox.append(connection, key, [(topics.EVENTS, key, event) for event in addressed])


async def forget_member(connection: Connection, conversation_id: ConversationId, user_id: UserId) -> None:
    """The last of a person in a locked conversation: invites, whom they added; nobody writes to them any more."""
    await connection.execute(
        # They let nobody in any more; who came in by one may still ask again.
        "UPDATE invites SET created_by = '', ended_before = coalesce(ended_before, expires_at), expires_at = 'epoch'"
        " WHERE conversation_id = $1 AND created_by = $2",
        conversation_id,
        user_id,
    )
    await connection.execute(
        "UPDATE members SET added_by = '' WHERE conversation_id = $1 AND added_by = $2", conversation_id, user_id
    )
    await connection.execute(
        "UPDATE group_bans SET banned_by = '' WHERE conversation_id = $1 AND banned_by = $2", conversation_id, user_id
    )
    await connection.execute(
        "UPDATE conversations SET blocked = true WHERE id = $1 AND pair_key IS NOT NULL", conversation_id
    )


async def delete_rows(connection: Connection, personal: PersonalColumn, user_id: UserId, limit: int) -> int:
    """Delete some of the person's rows of a table; how many. Of attachments the objects are queued for deletion."""
    # Names of ours.
    some = f"SELECT ctid FROM {personal.table} WHERE {personal.column} = $1 LIMIT $2"  # noqa: S608
    delete = f"DELETE FROM {personal.table} WHERE ctid = ANY(ARRAY({some}))"  # noqa: S608
    if personal.table == "attachments":
        delete = (
            f"WITH gone AS ({delete} RETURNING coalesce(object_id, id) AS object, put_until), queued AS ("  # noqa: S608
            f"INSERT INTO doomed_objects (object_key, put_until) SELECT '{UPLOADS_PREFIX}' || object, max(put_until)"
            f" FROM gone GROUP BY object ORDER BY object {DOOM_AGAIN})"
            " SELECT count(*) FROM gone"
        )
        return int(await connection.fetchval(delete, user_id, limit))
    status = await connection.execute(delete, user_id, limit)
    return int(status.rpartition(" ")[2])
