"""Between the core's types and the protobufs of the API and the events."""

from datetime import datetime, timedelta
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from parley.messaging.v1 import events_pb2, messages_pb2

from services.messaging.core import (
    CallOutcome,
    CallRecord,
    Content,
    Conversation,
    ConversationKind,
    Delta,
    Message,
    Text,
)

_KINDS = {ConversationKind.DIRECT: messages_pb2.CONVERSATION_KIND_DIRECT}
_OUTCOMES = {
    CallOutcome.COMPLETED: messages_pb2.CALL_OUTCOME_COMPLETED,
    CallOutcome.MISSED: messages_pb2.CALL_OUTCOME_MISSED,
    CallOutcome.DECLINED: messages_pb2.CALL_OUTCOME_DECLINED,
    CallOutcome.CANCELLED: messages_pb2.CALL_OUTCOME_CANCELLED,
    CallOutcome.BUSY: messages_pb2.CALL_OUTCOME_BUSY,
    CallOutcome.FAILED: messages_pb2.CALL_OUTCOME_FAILED,
}
_OUTCOMES_BACK = {value: key for key, value in _OUTCOMES.items()}


def to_timestamp(instant: datetime) -> Timestamp:
    """A protobuf time."""
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def conversation_message(conversation: Conversation) -> messages_pb2.Conversation:
    """The API's form of a conversation."""
    return messages_pb2.Conversation(
        conversation_id=str(conversation.id),
        kind=_KINDS[conversation.kind],
        members=[
            messages_pb2.Member(
                user_id=member.user_id, join_time=to_timestamp(member.joined_at), read_seq=member.read_seq
            )
            for member in conversation.members
        ],
        last_seq=conversation.last_seq,
        create_time=to_timestamp(conversation.created_at),
    )


def message_message(message: Message) -> messages_pb2.Message:
    """The API's form of a message."""
    encoded = messages_pb2.Message(
        message_id=str(message.id),
        conversation_id=str(message.conversation_id),
        seq=message.seq,
        sender_id=message.sender_id,
        client_message_id=message.client_message_id,
        send_time=to_timestamp(message.sent_at),
    )
    match message.content:
        case Text(text):
            encoded.text.text = text
        case CallRecord() as record:
            encoded.call.CopyFrom(call_message(record))
    return encoded


def call_message(record: CallRecord) -> messages_pb2.CallContent:
    """The API's form of a call record."""
    length = Duration()
    length.FromTimedelta(record.length)
    return messages_pb2.CallContent(
        call_id=str(record.call_id), video=record.video, outcome=_OUTCOMES[record.outcome], length=length
    )


def to_content(kind: str, body: str, call: bytes | None) -> Content:
    """A stored row's content."""
    if kind == "text":
        return Text(body)
    encoded = messages_pb2.CallContent.FromString(call or b"")
    length: timedelta = encoded.length.ToTimedelta()
    return CallRecord(UUID(encoded.call_id), encoded.video, _OUTCOMES_BACK[encoded.outcome], length)


def delta_message(delta: Delta) -> messages_pb2.ConversationDelta:
    """The API's form of a delta."""
    return messages_pb2.ConversationDelta(
        conversation=conversation_message(delta.conversation),
        messages=[message_message(message) for message in delta.messages],
        has_more=delta.has_more,
    )


def _event(event_id: str, conversation_id: UUID, time: datetime) -> events_pb2.ConversationEvent:
    return events_pb2.ConversationEvent(
        event_id=event_id, conversation_id=str(conversation_id), event_time=to_timestamp(time)
    )


def conversation_created(conversation: Conversation) -> bytes:
    """The event of a new conversation. Its id is the conversation's: there is one per conversation."""
    event = _event(str(conversation.id), conversation.id, conversation.created_at)
    event.conversation_created.conversation.CopyFrom(conversation_message(conversation))
    return event.SerializeToString()


def message_sent(message: Message) -> bytes:
    """The event of a new message. Its id is the message's."""
    event = _event(str(message.id), message.conversation_id, message.sent_at)
    event.message_sent.message.CopyFrom(message_message(message))
    return event.SerializeToString()


def read_cursor_moved(event_id: UUID, conversation_id: UUID, user_id: str, read_seq: int, time: datetime) -> bytes:
    """The event of a read cursor's move."""
    event = _event(str(event_id), conversation_id, time)
    event.read_cursor_moved.CopyFrom(
        events_pb2.ReadCursorMoved(conversation_id=str(conversation_id), user_id=user_id, read_seq=read_seq)
    )
    return event.SerializeToString()
