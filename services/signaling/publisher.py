"""The events of a call's change: for other services, for the devices of each member, and for a push provider."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2, scheduled_pb2
from parley.gateway.v1 import messages_pb2 as gateway_messages
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence_events

from services.runtime.ids import NewId
from services.runtime.kafka.bus import Outgoing, trace_headers
from services.runtime.observability import tracing
from services.signaling.core.model import RUNG, Call, CallState, DeviceId, LegState, UserId
from services.signaling.keys.core import CallKey
from services.signaling.mapping.calls import encode_call, encode_place, place_state
from services.signaling.mapping.keys import encode_call_key
from services.signaling.mapping.scheduled import NOTICES, encode_scheduled
from services.signaling.mapping.times import encode_time
from services.signaling.ports import Record
from services.signaling.scheduled.core import Notice, ScheduledCall, recipients

CALLS_TOPIC = "calls.events.v1"
DELIVERY_TOPIC = "delivery.v1"


# In quiet hours no push is sent either.
_AUDIBLE = RUNG - {LegState.QUIET}


@dataclass(frozen=True)
class CallEvents:
    """See ports.EventsOf."""

    new_id: NewId

    def __call__(self, before: Call | None, call: Call, now: datetime) -> Sequence[Record]:
        changed = calls_events.CallEvent(call_changed=calls_events.CallChanged(call=encode_call(call)))
        events = [changed, *_pushes(before, call)]
        return [
            *(self._record(event, call, now) for event in events),
            *_deliveries(before, call, now, str(self.new_id(now))),
        ]

    def _record(self, event: calls_events.CallEvent, call: Call, now: datetime) -> Record:
        event.event_id = str(self.new_id(now))
        event.call_id = call.call_id
        event.event_time.FromDatetime(now)
        return Record(CALLS_TOPIC, call.call_id, event.SerializeToString())


def _pushes(before: Call | None, call: Call) -> Sequence[calls_events.CallEvent]:
    rang, rings = _audibly_rung(before), _audibly_rung(call)
    kinds = (
        (calls_events.PUSH_KIND_RING, sorted(rings - rang)),
        (calls_events.PUSH_KIND_RING_ENDED, sorted(rang - rings)),
    )
    return [
        calls_events.CallEvent(
            push_requested=calls_events.PushRequested(kind=kind, user_ids=user_ids, call=encode_call(call))
        )
        for kind, user_ids in kinds
        if user_ids
    ]


def _audibly_rung(call: Call | None) -> set[UserId]:
    return {leg.user_id for leg in call.legs if leg.state in _AUDIBLE} if call else set()


def _deliveries(before: Call | None, call: Call, now: datetime, delivery_id: str) -> Sequence[Record]:
    # People who leave the conversation are told once.
    recipients = dict.fromkeys((*call.audience, *(before.audience if before else ())))
    for_members = _frame(call)
    records = []
    for user_id in recipients:
        told = call.told_to(user_id)
        frame = for_members if told is call else _frame(told)
        records.append(_delivery(user_id, frame, now, delivery_id, _activity(call, user_id)))
    return [*records, *_places(before, call, now, delivery_id)]


def _places(before: Call | None, call: Call, now: datetime, delivery_id: str) -> Iterator[Record]:
    """What people in the lobby are told of their place, and nobody else is."""
    waiting = messages_pb2.LOBBY_PLACE_STATE_WAITING
    for leg in call.legs:
        states = {place_state(before, leg.user_id), place_state(call, leg.user_id)}
        if len(states) > 1 and waiting in states:
            event = gateway_messages.DeviceEvent(lobby_place=encode_place(call, leg.user_id))
            frame = gateway_service.SubscribeResponse(event=event).SerializeToString()
            # Beside the call's own delivery to who is let in, so that neither is taken for a copy of the other.
            yield _delivery(leg.user_id, frame, now, f"{delivery_id}/lobby")


def _frame(call: Call) -> bytes:
    event = gateway_messages.DeviceEvent(call=encode_call(call))
    return gateway_service.SubscribeResponse(event=event).SerializeToString()


@dataclass(frozen=True)
class KeyEvents:
    """What devices are told of keys: see keys.service."""

    new_id: NewId

    def call_key(self, key: CallKey, now: datetime) -> Record:
        """A sealed key, for the device that can open it alone."""
        event = gateway_messages.DeviceEvent(call_key=encode_call_key(key))
        frame = gateway_service.SubscribeResponse(event=event).SerializeToString()
        return _delivery(key.key.user_id, frame, now, str(self.new_id(now)), device_id=key.key.device_id)

    def keys_changed(self, user_id: UserId, now: datetime) -> Record:
        """The keys of the user's devices changed, for all of these."""
        event = gateway_messages.DeviceEvent(keys_changed=gateway_messages.KeysChanged())
        frame = gateway_service.SubscribeResponse(event=event).SerializeToString()
        return _delivery(user_id, frame, now, str(self.new_id(now)))


def _delivery(
    user_id: UserId,
    frame: bytes,
    now: datetime,
    delivery_id: str,
    activity: presence_events.CallActivity | None = None,
    device_id: DeviceId | None = None,
) -> Record:
    delivery = presence_events.Delivery(
        user_id=user_id,
        frame=frame,
        event_time=encode_time(now),
        call_activity=activity,
        # Handed over directly as well: of two copies of a call, devices take the one of the higher version.
        delivery_id=delivery_id,
        device_id=device_id or "",
    )
    return Record(DELIVERY_TOPIC, user_id, delivery.SerializeToString())


def deliveries_among(records: Sequence[Record]) -> Sequence[Outgoing]:
    """Those of a change's records that are for devices, as they are handed over."""
    headers = trace_headers(tracing.current_header())
    return [
        Outgoing(record.topic, record.key.encode(), record.value, headers)
        for record in records
        if record.topic == DELIVERY_TOPIC
    ]


def _activity(call: Call, user_id: UserId) -> presence_events.CallActivity:
    """What presence shows of it: people who are in an answered call are in a call."""
    takes_part = any(leg.user_id == user_id for leg in call.joined)
    return presence_events.CallActivity(
        call_id=call.call_id, version=call.version, in_call=call.state is CallState.ACTIVE and takes_part
    )


@dataclass(frozen=True)
class ScheduledEvents:
    """See scheduled.ports.ScheduledEventsOf."""

    new_id: NewId

    def __call__(
        self, call: ScheduledCall, members: Collection[UserId], notice: Notice | None, now: datetime
    ) -> Sequence[Record]:
        noticed = set(recipients(call, members, notice)) if notice else set()
        # As members are told of it: with the answers of those who are in the conversation.
        encoded = encode_scheduled(replace(call, answers={u: said for u, said in call.answers.items() if u in members}))
        frames = {told: _scheduled_frame(encoded, told) for told in {None, notice}}
        delivery_id = str(self.new_id(now))
        return [
            _delivery(user_id, frames[notice if user_id in noticed else None], now, delivery_id)
            for user_id in sorted(members)
        ]


def _scheduled_frame(call: scheduled_pb2.ScheduledCall, notice: Notice | None) -> bytes:
    told = scheduled_pb2.SCHEDULED_CALL_NOTICE_UNSPECIFIED if notice is None else NOTICES[notice]
    changed = gateway_messages.ScheduledCallChanged(scheduled_call=call, notice=told)
    event = gateway_messages.DeviceEvent(scheduled_call=changed)
    return gateway_service.SubscribeResponse(event=event).SerializeToString()
