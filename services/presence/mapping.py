"""Between the core's states and their protobuf form."""

from google.protobuf.timestamp_pb2 import Timestamp
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2

from services.presence.core.model import Delivery, Place, PresenceChange, UserId
from services.presence.core.states import CallActivity, PresenceStatus
from services.presence.ports import StateRow
from services.runtime.observability import tracing

_STATES = {
    PresenceStatus.OFFLINE: gateway.PRESENCE_STATE_OFFLINE,
    PresenceStatus.ONLINE: gateway.PRESENCE_STATE_ONLINE,
    PresenceStatus.AWAY: gateway.PRESENCE_STATE_AWAY,
}


def encode_time(seconds: float | None) -> Timestamp | None:
    """Unix seconds as a Timestamp; None stays None, which leaves a field absent."""
    if seconds is None:
        return None
    encoded = Timestamp()
    encoded.FromNanoseconds(int(seconds * 1e9))
    return encoded


def decode_delivery(delivery: events_pb2.Delivery, trace: str | None) -> Delivery:
    """A delivery as the core has it. `trace`: the `traceparent` that it came with."""
    place, call = delivery.place, delivery.call_activity
    return Delivery(
        UserId(delivery.user_id),
        delivery.frame,
        delivery.delivery_id,
        Place(place.sequence, place.number, place.newcomer) if delivery.HasField("place") else None,
        delivery.relations_changed,
        CallActivity(call.call_id, call.version, call.in_call) if delivery.HasField("call_activity") else None,
        delivery.user_deleted,
        tracing.kept(trace),
    )


def encode_change(change: PresenceChange) -> bytes:
    """The frame that a watching device reads."""
    event = gateway.PresenceChanged(
        user_id=change.user_id,
        state=_STATES[change.state.status],
        last_seen_time=encode_time(change.state.last_seen),
        in_call=change.state.in_call,
    )
    return gateway_service.SubscribeResponse(event=gateway.DeviceEvent(presence=event)).SerializeToString()


def encode_event(row: StateRow) -> bytes | None:
    """A value of presence.events.v1; None, a tombstone, when the account is gone."""
    if row.state is None:
        return None
    return events_pb2.PresenceEvent(
        user_id=row.user_id,
        state=_STATES[row.state.status],
        in_call=row.state.in_call,
        last_seen_time=encode_time(row.state.last_seen),
        event_time=encode_time(row.time),
    ).SerializeToString()
