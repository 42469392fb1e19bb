"""The frames that the gateway itself writes to devices, and what it reads of others: serialized SubscribeResponses."""

from collections.abc import Iterable

from google.protobuf.message import DecodeError
from parley.gateway.v1 import messages_pb2
from parley.gateway.v1 import service_pb2 as api

# Conversations that a Resync names. Raising it makes larger frames; lowering it makes devices sync everything earlier.
MAX_NAMED = 100


def _frame(event: messages_pb2.DeviceEvent) -> bytes:
    return api.SubscribeResponse(event=event).SerializeToString()


def ready(heartbeat_s: int, resume_token: str, *, resumed: bool) -> bytes:
    """The first frame of a stream."""
    event = messages_pb2.Ready(heartbeat_s=heartbeat_s, resume_token=resume_token, resumed=resumed)
    return _frame(messages_pb2.DeviceEvent(ready=event))


def typing(conversation_id: str, user_id: str, is_typing: bool) -> bytes:
    """Somebody types, or stopped."""
    event = messages_pb2.Typing(conversation_id=conversation_id, user_id=user_id, typing=is_typing)
    return _frame(messages_pb2.DeviceEvent(typing=event))


def offline(user_id: str) -> bytes:
    """Somebody is not to be seen (any more): as OFFLINE, without a time."""
    event = messages_pb2.PresenceChanged(user_id=user_id, state=messages_pb2.PRESENCE_STATE_OFFLINE)
    return _frame(messages_pb2.DeviceEvent(presence=event))


def slow_consumer(conversation_ids: frozenset[str]) -> bytes:
    """The device read too slowly and missed something there; without ids it may be anywhere."""
    return _resync(messages_pb2.RESYNC_REASON_SLOW_CONSUMER, conversation_ids)


def missed(conversation_ids: frozenset[str]) -> bytes:
    """More came while the device was away than was kept."""
    return _resync(messages_pb2.RESYNC_REASON_MISSED, conversation_ids)


def _resync(reason: messages_pb2.ResyncReason.ValueType, conversation_ids: Iterable[str]) -> bytes:
    event = messages_pb2.Resync(reason=reason, conversation_ids=sorted(conversation_ids))
    return _frame(messages_pb2.DeviceEvent(resync=event))


HEARTBEAT = _frame(messages_pb2.DeviceEvent(heartbeat=messages_pb2.Heartbeat()))
ROUTE_MOVED = _resync(messages_pb2.RESYNC_REASON_ROUTE_MOVED, ())


def presence_key(user_id: str) -> str:
    """What an older presence frame of the same user is replaced by."""
    return f"presence {user_id}"


def coalescing_key(frame: bytes) -> str:
    """Two ephemeral frames with one key: only the later is worth anything."""
    event = _event(frame)
    match event.WhichOneof("event"):
        case "typing":
            return f"typing {event.typing.conversation_id} {event.typing.user_id}"
        case "presence":
            return presence_key(event.presence.user_id)
        case other:
            return str(other)


def conversations_of(frames: Iterable[bytes]) -> frozenset[str]:
    """The conversations that durable frames are about; empty when one of them is about none, or there are too many."""
    found = set()
    for frame in frames:
        conversation_id = _conversation_of(_event(frame))
        if not conversation_id:
            return frozenset()
        found.add(conversation_id)
    return frozenset(found) if len(found) <= MAX_NAMED else frozenset()


def _conversation_of(event: messages_pb2.DeviceEvent) -> str:
    match event.WhichOneof("event"):
        case "message":
            return event.message.conversation_id
        case "conversation":
            return event.conversation.conversation_id
        case "read":
            return event.read.conversation_id
        case "own_state":
            return event.own_state.conversation_id
        case _:
            # Calls are asked for apart from conversations, and who knows only these would not ask.
            return ""


def _event(frame: bytes) -> messages_pb2.DeviceEvent:
    try:
        return api.SubscribeResponse.FromString(frame).event
    except DecodeError:
        # A frame of a newer service than this; it is passed on all the same.
        return messages_pb2.DeviceEvent()
