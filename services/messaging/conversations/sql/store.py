"""PostgreSQL: the truth of conversations. The statements stand beside it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from services.messaging.conversations.sql.conversations import (
    CONTACTS,
    insert_conversation,
    load_by_key,
    load_conversations,
    lock_counters,
)
from services.messaging.conversations.sql.own_states import load_own_states, write_own_state
from services.messaging.conversations.sql.requests import (
    accept_requests,
    announce_created,
    decline_request,
    pending_requests,
)
from services.messaging.kernel.errors import NotAllowed
from services.messaging.kernel.model import Conversation, ConversationId, Recipient, UserId, pair_key
from services.messaging.kernel.own_state import OwnChange, OwnState, apply_own_change
from services.messaging.kernel.quotas import DayQuota
from services.messaging.kernel.request import RequestState
from services.messaging.relations.core.reach import invite
from services.messaging.relations.sql.quotas import count_new_conversation
from services.messaging.relations.sql.relationships import load_relationships, lock_pair
from services.messaging.wire import topics
from services.messaging.wire.deliveries import own_state_delivery
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Database


class PostgresConversations:
    """See ports.ConversationStore, and relations.ports.ContactReader. The relay is woken for what was committed."""

    def __init__(self, database: Database, relay: outbox.OutboxRelay) -> None:
        self._database = database
        self._relay = relay

    async def open_direct(self, conversation: Conversation, opener: UserId, quota: DayQuota) -> Conversation:
        peer = next(member.user_id for member in conversation.members if member.user_id != opener)
        async with self._database.transaction() as connection:
            key = await lock_pair(connection, opener, peer)
            known = await load_by_key(connection, "pair_key", key)
            if known is not None:
                if known.blocked:
                    raise NotAllowed
                return known
            relationships = await load_relationships(connection, [(peer, opener)])
            invited = invite(conversation, opener, relationships[peer, opener])
            await count_new_conversation(connection, quota, pending_requests(invited.members))
            await insert_conversation(connection, invited, pair_key=key, creation_key=None)
            await announce_created(connection, invited, [], conversation.created_at)
        self._relay.wake(str(conversation.id))
        return invited

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        async with self._database.connection() as connection:
            return (await load_conversations(connection, [conversation_id])).get(conversation_id)

    async def change_own_state(
        self, conversation_id: ConversationId, user_id: UserId, change: OwnChange, now: datetime
    ) -> OwnState | None:
        async with self._database.transaction() as connection:
            # The member's row is the lock: changes of one person's two devices come one after the other.
            await connection.execute(
                "SELECT FROM members WHERE conversation_id = $1 AND user_id = $2 FOR UPDATE", conversation_id, user_id
            )
            before = (await load_own_states(connection, user_id, [conversation_id], now)).get(conversation_id)
            if before is None:
                return None
            after = apply_own_change(before, change, now)
            if after == before:
                return before
            await write_own_state(connection, user_id, conversation_id, after, now)
            delivery = own_state_delivery(user_id, conversation_id, after, now)
            await outbox.append(connection, user_id, [(topics.DELIVERY, user_id, delivery)])
        self._relay.wake(user_id)
        return after

    async def recipients_of(
        self, conversation_ids: Collection[ConversationId]
    ) -> Mapping[ConversationId, Sequence[Recipient]]:
        async with self._database.connection() as connection:
            conversations = await connection.fetch(
                "SELECT c.id, array_agg(m.user_id ORDER BY m.user_id) AS users,"
                " array_agg(m.visible_after_seq ORDER BY m.user_id) AS after,"
                " array_agg(extract(epoch FROM m.joined_at)::float8 ORDER BY m.user_id) AS joined,"
                " array_agg(m.request ORDER BY m.user_id) AS requests"
                " FROM conversations c JOIN members m ON m.conversation_id = c.id WHERE c.id = ANY($1) GROUP BY c.id",
                list(conversation_ids),
            )
        return {
            row["id"]: [
                Recipient(user, after, joined_unix_s, RequestState(request))
                for user, after, joined_unix_s, request in zip(
                    row["users"], row["after"], row["joined"], row["requests"], strict=True
                )
            ]
            for row in conversations
        }

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        others = [candidate for candidate in candidates if candidate != user_id]
        async with self._database.connection() as connection:
            found = await connection.fetch(
                CONTACTS, user_id, others, [pair_key(user_id, candidate) for candidate in others]
            )
        return [row["user_id"] for row in found]


class PostgresRequests:
    """See relations.ports.RequestStore. `wake` wakes the relay for a key whose rows were committed."""

    def __init__(self, database: Database, wake: Callable[[str], None]) -> None:
        self._database = database
        self._wake = wake

    async def accept(self, conversation_id: ConversationId, user_id: UserId, now: datetime) -> None:
        async with self._database.transaction() as connection:
            # Before the member, as sends do that let a conversation in by writing.
            await lock_counters(connection, [conversation_id])
            woken = await accept_requests(connection, [(conversation_id, user_id)], now)
        self._wake_all(woken)

    async def decline(self, conversation_id: ConversationId, user_id: UserId, now: datetime) -> None:
        async with self._database.transaction() as connection:
            await lock_counters(connection, [conversation_id])
            woken = await decline_request(connection, conversation_id, user_id, now)
        self._wake_all(woken)

    def _wake_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._wake(key)
