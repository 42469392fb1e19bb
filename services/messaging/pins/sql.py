"""PostgreSQL: the pins of conversations. They are read with the conversation (conversations/sql), and erased with their
message (messages/sql/erasing.py)."""

from services.messaging.conversations.sql.conversations import lock_conversation
from services.messaging.conversations.sql.requests import append_events
from services.messaging.groups.core.changes import ChangeStamp
from services.messaging.groups.sql.store import write_system_message
from services.messaging.kernel.model import Conversation, ConversationId, direct_recipients
from services.messaging.messages.sql.reading import load_message
from services.messaging.pins.ports import DecidePin
from services.messaging.wire.events import conversation_changed
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database


class PostgresPins:
    """See ports.PinStore. The relay is woken for the conversations whose events were committed."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay, new_id: NewId) -> None:
        self._database = database
        self._relay = relay
        self._new_id = new_id

    async def change_pins(
        self, conversation_id: ConversationId, seq: int, decide: DecidePin, stamp: ChangeStamp
    ) -> Conversation:
        async with self._database.transaction() as connection:
            before = await lock_conversation(connection, conversation_id)
            change = decide(before, await load_message(connection, conversation_id, seq))
            if change is None:
                return before
            await _write_pins(connection, before, change.after)
            after, events = await write_system_message(connection, change, stamp)
            changed = conversation_changed(self._new_id(stamp.now), after, (), stamp.now)
            await append_events(connection, after.id, [changed, *events], direct_recipients(before))
        self._relay.wake(str(conversation_id))
        return after


async def _write_pins(connection: Connection, before: Conversation, after: Conversation) -> None:
    """Make the pins of a locked conversation what they are after a change."""
    await connection.execute("UPDATE conversations SET revision = $2 WHERE id = $1", after.id, after.revision)
    gone = [pin.seq for pin in before.pins if pin not in after.pins]
    await connection.execute("DELETE FROM pins WHERE conversation_id = $1 AND seq = ANY($2)", after.id, gone)
    await connection.executemany(
        "INSERT INTO pins (conversation_id, seq, pinned_at) VALUES ($1, $2, $3)",
        [(after.id, pin.seq, pin.pinned_at) for pin in after.pins if pin not in before.pins],
    )
