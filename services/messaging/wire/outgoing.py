"""Rows of the outbox for the events of conversations."""

from collections.abc import Collection

from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.wire import api, topics


def to_outbox(conversation_id: ConversationId, event: bytes, people: Collection[UserId]) -> tuple[str, str, str, bytes]:
    """The row of an event. `people`: whom the relay tells of a direct conversation by itself; nobody for groups.

    All events of one direct conversation go that way, so that they stay in order.
    """
    key = str(conversation_id)
    return (key, topics.EVENTS, key, api.for_people(event, people) if people else event)
