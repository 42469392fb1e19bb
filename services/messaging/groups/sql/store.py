"""PostgreSQL: the truth of groups. The statements stand beside it."""

from dataclasses import replace

from services.messaging.conversations.sql.conversations import (
    insert_conversation,
    load_by_key,
    lock_conversation,
    write_group,
)
from services.messaging.conversations.sql.requests import (
    announce_created,
    announce_requests,
    append_events,
    pending_requests,
)
from services.messaging.groups.core.changes import ChangeStamp, GroupChange, system_message
from services.messaging.groups.ports import DecideGroup
from services.messaging.groups.sql.entering import load_bans, take_request_key, write_bans
from services.messaging.kernel.model import Conversation, ConversationId, direct_recipients
from services.messaging.kernel.quotas import DayQuota
from services.messaging.messages.core.sequencing import not_before
from services.messaging.messages.sql.appending import insert_messages
from services.messaging.relations.sql.quotas import count_new_conversation, count_requests
from services.messaging.wire.events import conversation_changed, message_sent
from services.runtime.ids import NewId
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection, Database


class PostgresGroups:
    """See ports.GroupStore. The relay is woken for the conversations whose events were committed."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay, new_id: NewId) -> None:
        self._database = database
        self._relay = relay
        self._new_id = new_id

    async def create_group(
        self, change: GroupChange, creation_key: str, stamp: ChangeStamp, quota: DayQuota
    ) -> Conversation:
        async with self._database.transaction() as connection:
            if not await insert_conversation(connection, change.after, pair_key=None, creation_key=creation_key):
                return await load_by_key(connection, "creation_key", creation_key) or change.after
            await count_new_conversation(connection, quota, pending_requests(change.after.members))
            after, events = await write_system_message(connection, change, stamp)
            await announce_created(connection, after, events, stamp.now)
        self._relay.wake(str(after.id))
        return after

    async def change_group(
        self,
        conversation_id: ConversationId,
        decide: DecideGroup,
        stamp: ChangeStamp,
        key: str = "",
        quota: DayQuota | None = None,
    ) -> Conversation:
        async with self._database.transaction() as connection:
            locked = await lock_conversation(connection, conversation_id)
            before = replace(locked, banned=await load_bans(connection, conversation_id))
            if key and not await take_request_key(connection, conversation_id, stamp.actor, key, stamp.now):
                return before
            change = decide(before)
            if change is None:
                return before
            await write_group(connection, before, change.after)
            await write_bans(connection, before, change.after, stamp.actor, stamp.now)
            new_members = [member for member in change.after.members if before.member(member.user_id) is None]
            if quota is not None:
                await count_requests(connection, quota, pending_requests(new_members))
            await announce_requests(connection, change.after.id, new_members, stamp.now)
            after, events = await write_system_message(connection, change, stamp)
            changed = conversation_changed(self._new_id(stamp.now), after, change.removed, stamp.now)
            await append_events(connection, after.id, [changed, *events], direct_recipients(before))
        self._relay.wake(str(conversation_id))
        return after

    async def find_group(self, creation_key: str) -> Conversation | None:
        async with self._database.connection() as connection:
            return await load_by_key(connection, "creation_key", creation_key)


async def write_system_message(
    connection: Connection, change: GroupChange, stamp: ChangeStamp
) -> tuple[Conversation, list[bytes]]:
    """Insert the system message of a change; the conversation with its new counter, and the message's event."""
    if change.system is None:
        return change.after, []
    last = await connection.fetchval("SELECT active_at FROM conversations WHERE id = $1", change.after.id)
    message = system_message(change, replace(stamp, now=not_before(last, stamp.now)))
    await insert_messages(connection, [message])
    return replace(change.after, last_seq=message.seq), [message_sent(message)]
