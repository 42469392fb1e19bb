"""Records as their producers key them."""

from datetime import UTC, datetime

from google.protobuf.message import DecodeError
from parley.calls.v1 import events_pb2 as calls
from parley.messaging.v1 import events_pb2 as messaging

from services.runtime.kafka.bus import Incoming

_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def conversation_record(value: bytes | None, trace: str | None = None) -> Incoming:
    """A record of messaging.events.v1."""
    return Incoming("messaging.events.v1", 0, 0, _key(messaging.ConversationEvent, value), value, _TIME, trace)


def call_record(value: bytes | None, topic: str = "calls.events.v1") -> Incoming:
    """A record of calls.events.v1, or of media.events.v1."""
    return Incoming(topic, 0, 0, _key(calls.CallEvent, value), value, _TIME, None)


def _key(kind: type[messaging.ConversationEvent] | type[calls.CallEvent], value: bytes | None) -> bytes:
    try:
        event = kind.FromString(value or b"")
    except DecodeError:
        return b""
    named = event.conversation_id if isinstance(event, messaging.ConversationEvent) else event.call_id
    return named.encode()
