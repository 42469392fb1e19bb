"""What people's devices, and the gateways that hold them, are told of relations."""

from datetime import datetime

from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence

from services.messaging.core.model import UserId
from services.messaging.encoding import to_timestamp


def relations_delivery(user_id: UserId, time: datetime, *, is_own: bool) -> bytes:
    """The person's gateways ask anew whom the person may see. Devices read of it only when it was the person's doing:
    nobody learns of another's block."""
    frame = b""
    if is_own:
        event = gateway.DeviceEvent(relations=gateway.RelationsChanged())
        frame = gateway_service.SubscribeResponse(event=event).SerializeToString()
    delivery = presence.Delivery(user_id=user_id, frame=frame, event_time=to_timestamp(time), relations_changed=True)
    return delivery.SerializeToString()
