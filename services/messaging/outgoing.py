"""Rows of the outbox for the events of conversations."""

from services.messaging import encoding, topics
from services.messaging.core.model import Conversation, ConversationId, ConversationKind, pair_key, people_of


def to_outbox(conversation_id: ConversationId, event: bytes, pair: str | None) -> tuple[str, str, str, bytes]:
    """The row of an event; with the pair's key of a direct conversation, it says whom the relay tells by itself.

    All events of one direct conversation go that way, so that they stay in order.
    """
    key = str(conversation_id)
    people = people_of(pair)
    return (key, topics.EVENTS, key, encoding.for_people(event, people) if people else event)


def pair_of(conversation: Conversation) -> str | None:
    """The pair's key of a direct conversation; None of a group."""
    if conversation.kind is not ConversationKind.DIRECT:
        return None
    return pair_key(*(member.user_id for member in conversation.members))
