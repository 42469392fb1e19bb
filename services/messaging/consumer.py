"""What messaging consumes: its own events, to fan them out to people, and the events of calls, to record them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError
from parley.calls.v1 import events_pb2 as calls
from parley.calls.v1 import messages_pb2 as call_messages
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import events_pb2
from parley.presence.v1 import events_pb2 as presence

from services.messaging import metrics
from services.messaging.core import (
    CallOutcome,
    CallRecord,
    ConversationId,
    MessagingError,
    Overloaded,
    UserId,
    check_uuid,
)
from services.messaging.service import Messaging
from services.runtime import tracing
from services.runtime.bus import Incoming, Outgoing, PoisonRecord, Publisher, TransientFailure

DELIVERY_TOPIC = "delivery.v1"

_OUTCOMES = {
    call_messages.END_REASON_HUNG_UP: CallOutcome.COMPLETED,
    call_messages.END_REASON_MISSED: CallOutcome.MISSED,
    call_messages.END_REASON_DECLINED: CallOutcome.DECLINED,
    call_messages.END_REASON_CANCELLED: CallOutcome.CANCELLED,
    call_messages.END_REASON_BUSY: CallOutcome.BUSY,
    call_messages.END_REASON_MEDIA_LOST: CallOutcome.FAILED,
}


class FanOut:
    """messaging.events.v1 → delivery.v1: one delivery for each member of the conversation.

    Order per conversation and member is kept. A repeated event gives repeated deliveries, which devices drop by seq.
    """

    def __init__(self, messaging: Messaging, publisher: Publisher) -> None:
        self._messaging = messaging
        self._publisher = publisher

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Fan a batch out; returns when the broker has all of it.

        Errors: PoisonRecord, StoreUnavailable, BusUnavailable.
        """
        events = [(record, _conversation_event(record)) for record in records]
        ids = {ConversationId(UUID(event.conversation_id)) for _, event in events}
        members = await self._messaging.members_of_all(ids)
        deliveries = [
            self._delivery(user_id, event, record)
            for record, event in events
            for user_id in members.get(ConversationId(UUID(event.conversation_id)), ())
        ]
        await self._publisher.publish(deliveries)
        metrics.DELIVERIES.inc(len(deliveries))

    def _delivery(self, user_id: str, event: events_pb2.ConversationEvent, record: Incoming) -> Outgoing:
        response = gateway_service.SubscribeResponse(event=_device_event(event))
        delivery = presence.Delivery(user_id=user_id, frame=response.SerializeToString(), event_time=event.event_time)
        headers = ((tracing.HEADER, record.trace.encode()),) if record.trace else ()
        return Outgoing(DELIVERY_TOPIC, user_id.encode(), delivery.SerializeToString(), headers)


class CallRecords:
    """calls.events.v1 → a message in the conversation for each call that ended. Idempotent by the call's id."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Record what ended. Errors: PoisonRecord, TransientFailure, StoreUnavailable."""
        for record in records:
            event = _parse(calls.CallEvent, record)
            call = event.call_changed.call
            if event.HasField("call_changed") and call.state == call_messages.CALL_STATE_ENDED:
                await self._record(call)

    async def _record(self, call: call_messages.Call) -> None:
        length = timedelta(0)
        if call.HasField("answer_time"):
            length = call.end_time.ToDatetime() - call.answer_time.ToDatetime()
        try:
            entry = CallRecord(
                call_id=check_uuid("call_id", call.call_id),
                video=call.video,
                outcome=_OUTCOMES[call.end_reason],
                length=max(length, timedelta(0)),
            )
            conversation_id = ConversationId(check_uuid("conversation_id", call.conversation_id))
            await self._messaging.record_call(conversation_id, UserId(call.caller_id), entry)
        except Overloaded as error:
            raise TransientFailure(str(error)) from error
        except (MessagingError, KeyError) as error:
            raise PoisonRecord(f"{type(error).__name__}: {error}") from error


def _conversation_event(record: Incoming) -> events_pb2.ConversationEvent:
    event = _parse(events_pb2.ConversationEvent, record)
    try:
        UUID(event.conversation_id)
    except ValueError as error:
        raise PoisonRecord("conversation_id is not a UUID") from error
    if event.WhichOneof("event") is None:
        raise PoisonRecord("an event of an unknown kind")
    return event


EventT = TypeVar("EventT", events_pb2.ConversationEvent, calls.CallEvent)


def _parse(kind: type[EventT], record: Incoming) -> EventT:
    try:
        return kind.FromString(record.value or b"")
    except DecodeError as error:
        raise PoisonRecord(f"not a {kind.DESCRIPTOR.name}") from error


def _device_event(event: events_pb2.ConversationEvent) -> gateway.DeviceEvent:
    match event.WhichOneof("event"):
        case "message_sent":
            return gateway.DeviceEvent(message=event.message_sent.message)
        case "conversation_created":
            return gateway.DeviceEvent(conversation=event.conversation_created.conversation)
        case _:
            moved = event.read_cursor_moved
            return gateway.DeviceEvent(
                read=gateway.ReadMoved(
                    conversation_id=moved.conversation_id, user_id=moved.user_id, read_seq=moved.read_seq
                )
            )
