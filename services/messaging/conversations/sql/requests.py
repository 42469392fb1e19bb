"""Statements about conversations that wait to be let in."""

from collections.abc import Collection, Sequence
from datetime import datetime

from services.messaging.conversations.sql.own_states import load_own_states, write_own_state
from services.messaging.kernel.model import Conversation, ConversationId, Member, UserId, direct_recipients
from services.messaging.kernel.request import RequestState
from services.messaging.relations.sql.relationships import notify_relations_changed
from services.messaging.wire import topics
from services.messaging.wire.deliveries import own_state_delivery
from services.messaging.wire.events import conversation_created, to_outbox
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Connection


async def accept_requests(
    connection: Connection, places: Collection[tuple[ConversationId, UserId]], now: datetime
) -> list[str]:
    """Let the conversations in, wherever they were not yet, and notify all whom it concerns.

    Gives the keys by which the relay is to be woken.
    """
    changed = await connection.fetch(
        "UPDATE members m SET request = '' FROM unnest($1::uuid[], $2::text[]) AS k (conversation_id, user_id)"
        " WHERE m.conversation_id = k.conversation_id AND m.user_id = k.user_id AND m.request <> ''"
        " RETURNING m.conversation_id, m.user_id",
        [conversation_id for conversation_id, _ in places],
        [user_id for _, user_id in places],
    )
    woken: list[str] = []
    # In one order, as receipts write them: both note moves in inboxes.
    for conversation_id, user_id in sorted((row["conversation_id"], row["user_id"]) for row in changed):
        woken.append(await notify_request_state(connection, user_id, conversation_id, now))
        # Each of them may be seen by, and may see, one more person now.
        others = await connection.fetch(
            "SELECT user_id FROM members WHERE conversation_id = $1 AND user_id <> $2", conversation_id, user_id
        )
        woken += await notify_relations_changed(connection, [row["user_id"] for row in others], now)
    return woken


async def decline_request(
    connection: Connection, conversation_id: ConversationId, user_id: UserId, now: datetime
) -> list[str]:
    """Put a conversation away that waits; one that does not stays. Gives the keys as above."""
    changed = await connection.fetchval(
        "UPDATE members SET request = $3 WHERE conversation_id = $1 AND user_id = $2 AND request = $4 RETURNING true",
        conversation_id,
        user_id,
        RequestState.DECLINED.value,
        RequestState.PENDING.value,
    )
    return [await notify_request_state(connection, user_id, conversation_id, now)] if changed else []


async def notify_request_state(
    connection: Connection, user_id: UserId, conversation_id: ConversationId, now: datetime, order_key: str = ""
) -> str:
    """Notify a person's own devices, live and by Sync, of the state of the request: in the order of the person's
    deliveries, or of another key's. Gives the relay's key."""
    state = (await load_own_states(connection, user_id, [conversation_id], now))[conversation_id]
    await write_own_state(connection, user_id, conversation_id, state, now)
    delivery = own_state_delivery(user_id, conversation_id, state, now, relations_changed=True)
    await outbox.append(connection, order_key or user_id, [(topics.DELIVERY, user_id, delivery)])
    return order_key or user_id


async def announce_created(
    connection: Connection, conversation: Conversation, first: Sequence[bytes], now: datetime
) -> None:
    """Publish a new conversation, with the events of its first messages."""
    await announce_requests(connection, conversation.id, conversation.members, now)
    events = [conversation_created(conversation), *first]
    await append_events(connection, conversation.id, events, direct_recipients(conversation))


async def announce_requests(
    connection: Connection, conversation_id: ConversationId, members: Sequence[Member], now: datetime
) -> None:
    """Notify those whose request is pending, before the event of the conversation: in its own order, therefore."""
    for member in members:
        if member.request is RequestState.PENDING:
            await notify_request_state(connection, member.user_id, conversation_id, now, str(conversation_id))


def pending_requests(members: Sequence[Member]) -> int:
    """How many members have still to accept it."""
    return sum(member.request is RequestState.PENDING for member in members)


async def append_events(
    connection: Connection, conversation_id: ConversationId, events: Sequence[bytes], recipients: Sequence[UserId] = ()
) -> None:
    """Write events of a conversation to the outbox. `recipients`: see to_outbox."""
    await outbox.append_many(connection, [to_outbox(conversation_id, event, recipients) for event in events])
