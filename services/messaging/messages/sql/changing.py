"""The statements that write what becomes of a message: its content, reactions and votes."""

from services.messaging.kernel.content import Content, kind_of
from services.messaging.kernel.model import ConversationId
from services.messaging.messages.core.changes import MessageChange, ReactionChange, VoteChange
from services.messaging.messages.sql.erasing import erase_content
from services.messaging.wire.storage import entity_bytes, to_columns
from services.runtime.postgres.database import Connection

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
    elif change.reaction:
        await _write_reaction(connection, key, change.reaction)
    else:
        await _write_message(connection, key, change)


async def _write_message(connection: Connection, key: tuple[ConversationId, int], change: MessageChange) -> None:
    """What its sender, or moderation, has made of it."""
    after = change.after
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


async def _write_reaction(connection: Connection, key: tuple[ConversationId, int], reaction: ReactionChange) -> None:
    statement = (
        "INSERT INTO reactions (conversation_id, seq, emoji, user_id) VALUES ($1, $2, $3, $4)"
        if reaction.present
        else _TAKE_AWAY
    )
    await connection.execute(statement, *key, reaction.emoji, reaction.user_id)


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
