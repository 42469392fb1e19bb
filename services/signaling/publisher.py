"""The events of a call's change: one for other services, one for the devices of each member."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from parley.calls.v1 import events_pb2 as calls_events
from parley.gateway.v1 import messages_pb2 as gateway_messages
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence_events

from services.runtime.ids import NewId
from services.signaling.core.model import Call, CallState, UserId
from services.signaling.encoding import encode_call, encode_time
from services.signaling.ports import Record

CALLS_TOPIC = "calls.events.v1"
DELIVERY_TOPIC = "delivery.v1"


@dataclass(frozen=True)
class CallAnnouncer:
    """See ports.Announcer."""

    new_id: NewId

    def __call__(self, call: Call, now: datetime) -> Sequence[Record]:
        event = calls_events.CallEvent(
            event_id=str(self.new_id(now)),
            call_id=call.call_id,
            event_time=encode_time(now),
            call_changed=calls_events.CallChanged(call=encode_call(call)),
        )
        return [Record(CALLS_TOPIC, call.call_id, event.SerializeToString()), *_deliveries(call, now)]


def _deliveries(call: Call, now: datetime) -> Sequence[Record]:
    frame = gateway_service.SubscribeResponse(event=gateway_messages.DeviceEvent(call=encode_call(call)))
    data = frame.SerializeToString()
    return [
        Record(
            DELIVERY_TOPIC,
            user_id,
            presence_events.Delivery(
                user_id=user_id, frame=data, event_time=encode_time(now), call_activity=_activity(call, user_id)
            ).SerializeToString(),
        )
        for user_id in call.user_ids
    ]


def _activity(call: Call, user_id: UserId) -> presence_events.CallActivity:
    """What presence is to show of it: who takes part in an answered call is in it."""
    takes_part = any(leg.user_id == user_id and leg.device_id for leg in call.legs)
    return presence_events.CallActivity(
        call_id=call.call_id, version=call.version, in_call=call.state is CallState.ACTIVE and takes_part
    )
