"""PostgreSQL: who opened which view-once message."""

from dataclasses import replace
from datetime import datetime

from services.messaging.attachments.core.view_once import Opened, Opening
from services.messaging.attachments.ports import DecideOpening
from services.messaging.attachments.sql.messages import set_release
from services.messaging.conversations.sql.conversations import lock_conversation
from services.messaging.conversations.sql.requests import append_events
from services.messaging.kernel.errors import AttachmentNotFound
from services.messaging.kernel.model import ConversationId, Message, UserId, direct_recipients
from services.messaging.messages.sql.reading import load_message
from services.messaging.wire.events import message_changed
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database


class PostgresOpenings:
    """See the attachments' ports.OpeningStore. The relay is woken for the conversations whose events were committed."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay, new_id: NewId) -> None:
        self._database = database
        self._relay = relay
        self._new_id = new_id

    async def open_once(
        self, conversation_id: ConversationId, seq: int, user_id: UserId, decide: DecideOpening, now: datetime
    ) -> Message:
        async with self._database.transaction() as connection:
            # Of several devices at once, each waits here and then sees what the one before wrote.
            conversation = await lock_conversation(connection, conversation_id)
            before = await load_message(connection, conversation_id, seq)
            opened = decide(conversation, before, await _load_opening(connection, conversation_id, seq, user_id))
            if opened is None:
                if before is None:
                    raise AttachmentNotFound
                return before
            after = replace(opened.after, revision=conversation.revision + 1)
            await _write_opening(connection, after, opened)
            event = message_changed(self._new_id(now), after, now)
            await append_events(connection, conversation_id, [event], direct_recipients(conversation))
        self._relay.wake(str(conversation_id))
        return after


async def _load_opening(
    connection: Connection, conversation_id: ConversationId, seq: int, user_id: UserId
) -> Opening | None:
    row = await connection.fetchrow(
        "SELECT client_request_id, opened_at FROM openings WHERE conversation_id = $1 AND seq = $2 AND user_id = $3",
        *(conversation_id, seq, user_id),
    )
    return Opening(user_id, row["client_request_id"], row["opened_at"]) if row else None


async def _write_opening(connection: Connection, after: Message, opened: Opened) -> None:
    place, opening = (after.conversation_id, after.seq), opened.opening
    await connection.execute("UPDATE conversations SET revision = $2 WHERE id = $1", place[0], after.revision)
    await connection.execute(
        "UPDATE messages SET revision = $3 WHERE conversation_id = $1 AND seq = $2", *place, after.revision
    )
    await connection.execute(
        "INSERT INTO openings (conversation_id, seq, user_id, client_request_id, opened_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        *(*place, opening.user_id, opening.client_request_id, opening.opened_at),
    )
    await set_release(connection, place, opened.release_at, is_last=opened.is_last)
