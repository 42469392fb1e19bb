"""The frames that the gateway itself writes to devices: serialized SubscribeResponse messages."""

from parley.gateway.v1 import messages_pb2
from parley.gateway.v1 import service_pb2 as api


def _frame(event: messages_pb2.DeviceEvent) -> bytes:
    return api.SubscribeResponse(event=event).SerializeToString()


def ready(heartbeat_s: int) -> bytes:
    """The first frame of a stream."""
    return _frame(messages_pb2.DeviceEvent(ready=messages_pb2.Ready(heartbeat_s=heartbeat_s)))


def typing(conversation_id: str, user_id: str, is_typing: bool) -> bytes:
    """Somebody types, or stopped."""
    event = messages_pb2.Typing(conversation_id=conversation_id, user_id=user_id, typing=is_typing)
    return _frame(messages_pb2.DeviceEvent(typing=event))


HEARTBEAT = _frame(messages_pb2.DeviceEvent(heartbeat=messages_pb2.Heartbeat()))
ROUTE_MOVED = _frame(
    messages_pb2.DeviceEvent(resync=messages_pb2.Resync(reason=messages_pb2.RESYNC_REASON_ROUTE_MOVED))
)
SLOW_CONSUMER = _frame(
    messages_pb2.DeviceEvent(resync=messages_pb2.Resync(reason=messages_pb2.RESYNC_REASON_SLOW_CONSUMER))
)
