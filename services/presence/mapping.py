"""Between the core's states and their protobuf form."""

from google.protobuf.timestamp_pb2 import Timestamp
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2

from services.presence.core.model import PresenceChange
from services.presence.core.states import PresenceStatus
from services.presence.ports import StateRow

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
