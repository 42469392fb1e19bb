"""Between the core's states and their protobuf form."""

from collections.abc import Iterator, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2, messages_pb2
from parley.presence.v1 import service_pb2 as api

from services.presence.core.model import (
    Assignment,
    Deliver,
    Delivery,
    DeviceId,
    GatewayFrame,
    Place,
    PresenceChange,
    RecheckWatches,
    RegisterAck,
    StatusCommand,
    UserId,
    WatchCommand,
)
from services.presence.core.states import CallActivity, PresenceStatus
from services.presence.ports import StateRow
from services.runtime.observability import tracing

# Of the frames in one response, beside the last. gRPC clients take 4 MiB.
MAX_BATCH_BYTES = 1 << 20

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
        DeviceId(delivery.device_id) if delivery.device_id else None,
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


def encode_batch(frames: Sequence[GatewayFrame]) -> Iterator[api.AttachResponse]:
    """The frames in order, with what stands next to each other for devices in one response, up to a size."""
    batch, size = api.AttachResponse(), 0
    for frame in frames:
        if isinstance(frame, Deliver | RecheckWatches):
            deliver = batch.delivers.delivers.add()
            _fill(deliver, frame)
            size += len(deliver.frame)
            if size <= MAX_BATCH_BYTES:
                continue
        if batch.HasField("delivers"):
            yield batch
            batch, size = api.AttachResponse(), 0
        if not isinstance(frame, Deliver | RecheckWatches):
            yield encode_frame(frame)
    if batch.HasField("delivers"):
        yield batch


def _fill(deliver: messages_pb2.Deliver, frame: Deliver | RecheckWatches) -> None:
    deliver.session_ids.extend(frame.session_ids)
    if isinstance(frame, RecheckWatches):
        deliver.durable = deliver.relations_changed = True
        deliver.about_user_id = frame.about or ""
    else:
        deliver.frame = frame.content if isinstance(frame.content, bytes) else encode_change(frame.content)
        deliver.durable = frame.durable
        if frame.trace:
            deliver.trace = frame.trace


def encode_frame(frame: GatewayFrame) -> api.AttachResponse:
    """What a gateway is told."""
    match frame:
        case Deliver() | RecheckWatches():
            response = api.AttachResponse()
            _fill(response.deliver, frame)
            return response
        case RegisterAck(session_ids):
            return api.AttachResponse(register_ack=messages_pb2.RegisterAck(session_ids=session_ids))
        case Assignment():
            return api.AttachResponse(assignment=encode_assignment(frame))
        case WatchCommand(session_id, user_ids):
            return api.AttachResponse(watch_command=messages_pb2.WatchCommand(session_id=session_id, user_ids=user_ids))
        case StatusCommand(session_id, away):
            return api.AttachResponse(status_command=messages_pb2.StatusCommand(session_id=session_id, away=away))


def encode_assignment(assignment: Assignment) -> messages_pb2.Assignment:
    """What this replica owns."""
    return messages_pb2.Assignment(
        epoch=assignment.epoch,
        partitions=sorted(assignment.partitions),
        partition_count=assignment.partition_count,
        member_id=assignment.member_id,
    )
