"""What others are told of a call's change."""

from datetime import UTC
from uuid import UUID

from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence_events

from services.signaling.core.model import Call
from services.signaling.publisher import CALLS_TOPIC, DELIVERY_TOPIC, CallEvents
from tests.unit.signaling.fakes import ALICE, BOB, PHONE, START, TABLET, World

PUBLISH = CallEvents(lambda now: UUID(int=7))


async def test_a_change_is_one_event_for_services_and_one_for_each_member() -> None:
    call = await World().answered()
    event, *deliveries = PUBLISH(call, call, START)
    assert (event.topic, event.key) == (CALLS_TOPIC, call.call_id)
    decoded = calls_events.CallEvent.FromString(event.value)
    assert (decoded.event_id, decoded.call_id) == (str(UUID(int=7)), call.call_id)
    assert decoded.event_time.ToDatetime(UTC) == START
    assert [(record.topic, record.key) for record in deliveries] == [(DELIVERY_TOPIC, ALICE), (DELIVERY_TOPIC, BOB)]
    for record, user_id in zip(deliveries, (ALICE, BOB), strict=True):
        delivery = presence_events.Delivery.FromString(record.value)
        frame = gateway_service.SubscribeResponse.FromString(delivery.frame)
        assert delivery.user_id == user_id
        assert frame.event.call == decoded.call_changed.call


async def test_the_call_is_shown_as_it_stands() -> None:
    world = World()
    call = await world.answered()
    shown = calls_events.CallEvent.FromString(PUBLISH(call, call, START)[0].value).call_changed.call
    assert (shown.state, shown.end_reason) == (messages_pb2.CALL_STATE_ACTIVE, messages_pb2.END_REASON_UNSPECIFIED)
    assert [(seat.user_id, seat.device_id) for seat in shown.participants] == [(ALICE, PHONE), (BOB, TABLET)]
    assert (shown.version, shown.video, shown.caller_id) == (2, True, ALICE)
    assert shown.HasField("answer_time")
    assert not shown.HasField("end_time")
    ended = await world.service.leave_call(call.call_id, ALICE, PHONE)
    shown = calls_events.CallEvent.FromString(PUBLISH(call, ended, START)[0].value).call_changed.call
    assert (shown.state, shown.end_reason) == (messages_pb2.CALL_STATE_ENDED, messages_pb2.END_REASON_HUNG_UP)
    assert shown.HasField("end_time")


async def test_presence_is_told_who_is_in_an_answered_call_and_that_it_is_over() -> None:
    world = World()
    call = await world.answered()
    assert _activities(call) == {ALICE: (2, True), BOB: (2, True)}
    ended = await world.service.leave_call(call.call_id, ALICE, PHONE)
    assert _activities(ended) == {ALICE: (3, False), BOB: (3, False)}


def _activities(call: Call) -> dict[str, tuple[int, bool]]:
    deliveries = [presence_events.Delivery.FromString(record.value) for record in PUBLISH(call, call, START)[1:]]
    assert {delivery.call_activity.call_id for delivery in deliveries} == {call.call_id}
    return {
        delivery.user_id: (delivery.call_activity.version, delivery.call_activity.in_call) for delivery in deliveries
    }
