"""Records of the public topics."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from parley.accounts.v1 import events_pb2 as accounts_events
from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2 as calls
from parley.messaging.v1 import events_pb2 as messaging_events
from parley.messaging.v1 import messages_pb2 as messaging
from parley.presence.v1 import events_pb2 as presence_events

from services.runtime.kafka.bus import Incoming
from services.webhooks.mapping import ACCOUNTS_TOPIC, CALLS_TOPIC, MESSAGING_TOPIC, PRESENCE_TOPIC

TIME = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONVERSATION, CALL = str(UUID(int=1)), str(UUID(int=2))
WORDS = "walrus at midnight"


def stamp(time: datetime = TIME) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


def record(topic: str, key: str, event: Message | None) -> Incoming:
    value = None if event is None else event.SerializeToString()
    return Incoming(topic, 0, 0, key.encode(), value, TIME, None)


def conversation_event(number: int = 10, conversation_id: str = CONVERSATION) -> messaging_events.ConversationEvent:
    return messaging_events.ConversationEvent(
        event_id=str(UUID(int=number)), conversation_id=conversation_id, event_time=stamp()
    )


def sent(number: int = 10, conversation_id: str = CONVERSATION, *, direct: bool = True) -> Incoming:
    """Alice has written WORDS."""
    event = conversation_event(number, conversation_id)
    event.message_sent.message.CopyFrom(
        messaging.Message(
            message_id=event.event_id,
            conversation_id=conversation_id,
            seq=number % (1 << 32),
            sender_id="alice",
            text=messaging.TextContent(text=WORDS),
        )
    )
    if direct:
        event.direct_user_ids.extend(["alice", "bob"])
    return record(MESSAGING_TOPIC, conversation_id, event)


def call_changed(state: calls.CallState.ValueType, *, group: bool = False) -> Incoming:
    call = calls.Call(call_id=CALL, caller_id="alice", state=state, group=group)
    event = calls_events.CallEvent(
        event_id=str(UUID(int=20)), call_id=CALL, event_time=stamp(), call_changed=calls_events.CallChanged(call=call)
    )
    return record(CALLS_TOPIC, CALL, event)


def presence_changed(user_id: str = "alice") -> Incoming:
    return record(PRESENCE_TOPIC, user_id, presence_events.PresenceEvent(user_id=user_id, event_time=stamp()))


def account_changed(user_id: str = "alice", *, deleted: bool = False) -> Incoming:
    state = accounts_events.AccountState(user_id=user_id, event_time=stamp())
    if deleted:
        state.delete_time.CopyFrom(stamp())
    return record(ACCOUNTS_TOPIC, user_id, state)
