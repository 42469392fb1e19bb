"""Between the kernel's types and the events of messaging.events.v1, and their rows of the outbox."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from google.protobuf.message import DecodeError
from parley.messaging.v1 import events_pb2, messages_pb2

from services.messaging.kernel.model import Conversation, ConversationId, Message, UserId
from services.messaging.wire import topics
from services.messaging.wire.api import conversation_message, message_message
from services.messaging.wire.contents import withhold_in
from services.messaging.wire.values import to_timestamp
from services.runtime.kafka.bus import Incoming, PoisonRecord, require_key


def _event(event_id: UUID, conversation_id: UUID, time: datetime) -> events_pb2.ConversationEvent:
    return events_pb2.ConversationEvent(
        event_id=str(event_id), conversation_id=str(conversation_id), event_time=to_timestamp(time)
    )


def with_recipients(event: bytes, user_ids: Collection[str]) -> bytes:
    """The event with the users whose deliveries the relay publishes: a protobuf takes further fields at its end."""
    return event + events_pb2.ConversationEvent(direct_user_ids=user_ids).SerializeToString()


def conversation_created(conversation: Conversation) -> bytes:
    """The event of a new conversation. Its id is the conversation's: there is one per conversation."""
    event = _event(conversation.id, conversation.id, conversation.created_at)
    event.conversation_created.conversation.CopyFrom(conversation_message(conversation))
    return event.SerializeToString()


def conversation_changed(event_id: UUID, after: Conversation, removed: tuple[UserId, ...], time: datetime) -> bytes:
    """The event of new members, roles, title or settings."""
    event = _event(event_id, after.id, time)
    event.conversation_changed.conversation.CopyFrom(conversation_message(after))
    event.conversation_changed.removed_user_ids.extend(removed)
    return event.SerializeToString()


def pair_closed(event_id: UUID, conversation_id: UUID, time: datetime) -> bytes:
    """The event of a direct conversation in which nobody may write or call any more."""
    event = _event(event_id, conversation_id, time)
    event.pair_closed.SetInParent()
    return event.SerializeToString()


def message_sent(message: Message) -> bytes:
    """The event of a new message. Its id is the message's."""
    event = _event(message.id, message.conversation_id, message.sent_at)
    event.message_sent.message.CopyFrom(message_message(message))
    return event.SerializeToString()


def message_changed(event_id: UUID, after: Message, time: datetime) -> bytes:
    """The event of an edit, a reaction, a vote, an opening, or an unsending."""
    event = _event(event_id, after.conversation_id, time)
    event.message_changed.message.CopyFrom(message_message(after))
    return event.SerializeToString()


def read_cursor_moved(
    event_id: UUID, conversation_id: UUID, user_id: str, read_seq: int, delivered_seq: int, time: datetime
) -> bytes:
    """The event of a move of what others may know; 0 for what did not move."""
    event = _event(event_id, conversation_id, time)
    event.read_cursor_moved.CopyFrom(
        events_pb2.ReadCursorMoved(
            conversation_id=str(conversation_id), user_id=user_id, read_seq=read_seq, delivered_seq=delivered_seq
        )
    )
    return event.SerializeToString()


def withheld_event(event: events_pb2.ConversationEvent) -> events_pb2.ConversationEvent:
    """The event as it is told to who has not let the conversation in: see kernel/withholding.py."""
    bare = events_pb2.ConversationEvent()
    bare.CopyFrom(event)
    match bare.WhichOneof("event"):
        case "message_sent":
            _withhold(bare.message_sent.message)
        case "message_changed":
            _withhold(bare.message_changed.message)
        case "conversation_created":
            bare.conversation_created.conversation.ClearField("avatar_ref")
        case "conversation_changed":
            bare.conversation_changed.conversation.ClearField("avatar_ref")
    return bare


def _withhold(message: messages_pb2.Message) -> None:
    message.ClearField("attachments")
    withhold_in(message)
    # What a newer release wrote, and this one cannot tell what to show of.
    message.DiscardUnknownFields()


def to_outbox(
    conversation_id: ConversationId, event: bytes, recipients: Collection[UserId]
) -> tuple[str, str, str, bytes]:
    """The row of an event. `recipients`: whose deliveries the relay publishes with it, of a direct conversation; none
    of groups.

    All events of one direct conversation go that way, so that they stay in order.
    """
    key = str(conversation_id)
    return (key, topics.EVENTS, key, with_recipients(event, recipients) if recipients else event)


def read_event(record: Incoming) -> events_pb2.ConversationEvent:
    """The event of a record. Raises PoisonRecord."""
    try:
        event = events_pb2.ConversationEvent.FromString(record.value or b"")
        UUID(event.conversation_id)
    except DecodeError as error:
        raise PoisonRecord("not a ConversationEvent") from error
    except ValueError as error:
        raise PoisonRecord("conversation_id is not a UUID") from error
    require_key(record, event.conversation_id, "conversation_id")
    if event.WhichOneof("event") is None:
        raise PoisonRecord("an event of an unknown kind")
    return event
