"""What messaging consumes: its own events, to fan them out to people, and the events of calls, to record them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError
from parley.calls.v1 import events_pb2 as calls
from parley.calls.v1 import messages_pb2 as call_messages
from parley.messaging.v1 import events_pb2, messages_pb2

from services.messaging.kernel import model
from services.messaging.kernel.checks import check_uuid
from services.messaging.kernel.content import CallOutcome, CallRecord
from services.messaging.kernel.errors import MessagingError, Overloaded
from services.messaging.kernel.model import ConversationId, Recipient
from services.messaging.kernel.request import Request
from services.messaging.messages.core.sequencing import REQUEST_MESSAGES
from services.messaging.messages.service.messages import Messaging
from services.messaging.wire.api import withheld_event
from services.messaging.wire.contents import kind_in, text_in
from services.messaging.wire.deliveries import deliveries
from services.runtime.kafka.bus import (
    Incoming,
    PoisonRecord,
    Publisher,
    TransientFailure,
    require_key,
    trace_headers,
)
from services.runtime.observability.failures import named

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

    def __init__(self, messaging: Messaging, publisher: Publisher, request_messages: int = REQUEST_MESSAGES) -> None:
        self._messaging = messaging
        self._publisher = publisher
        # Of a group, told to who has not let it in.
        self._request_messages = request_messages

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Fan a batch out; returns when the broker has all of it.

        Errors: PoisonRecord, StoreUnavailable, BusUnavailable.
        """
        events = [(record, _conversation_event(record)) for record in records]
        # Of the others the relay has told by itself.
        open_events = [(record, event) for record, event in events if not event.direct_user_ids]
        if not open_events:
            return
        ids = {ConversationId(UUID(event.conversation_id)) for _, event in open_events}
        recipients = await self._messaging.recipients_of(ids)
        told = []
        for record, event in open_events:
            members = recipients.get(ConversationId(UUID(event.conversation_id)), ())
            headers = trace_headers(record.trace)
            waiting = {member.user_id for member in members if member.request is Request.PENDING}
            receivers = _receivers(event, members, self._request_messages)
            told += deliveries(event, [user for user in receivers if user not in waiting], headers)
            if waiting:
                told += deliveries(withheld_event(event), [user for user in receivers if user in waiting], headers)
        await self._publisher.publish(told)


def _receivers(event: events_pb2.ConversationEvent, members: Sequence[Recipient], request_messages: int) -> list[str]:
    """Who is told: of a message, the members who may see it; of a change of members, also those who are out. Nobody is
    told of what was declined."""
    members = [member for member in members if member.request is not Request.DECLINED]
    match event.WhichOneof("event"):
        case "message_sent" | "message_changed":
            message = event.message_sent.message if event.HasField("message_sent") else event.message_changed.message
            most = request_messages if event.HasField("message_sent") else 0
            return [member.user_id for member in members if _is_told(member, message, most)]
        case "conversation_changed":
            still_in = [member.user_id for member in members]
            return [*still_in, *(user for user in event.conversation_changed.removed_user_ids if user not in still_in)]
        case "pair_closed":
            # For other services.
            return []
        case _:
            return [member.user_id for member in members]


def _is_told(member: Recipient, message: messages_pb2.Message, request_messages: int) -> bool:
    """Whether a member hears of a message live. With whom the group waits, of so many after the line that added them,
    and of what is left of one when nothing is: the rest is there when they look."""
    if message.seq <= member.visible_after_seq:
        return False
    if member.request is Request.NONE or _is_gone(message):
        return True
    return request_messages > 0 and message.seq <= member.visible_after_seq + 1 + request_messages


def _is_gone(message: messages_pb2.Message) -> bool:
    kind = kind_in(message)
    return kind is not None and kind.is_gone


class SearchIndex:
    """messaging.events.v1 → the words of new and edited texts. Idempotent: what stands in the store is indexed."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Index a batch. Errors: PoisonRecord, StoreUnavailable."""
        keys = []
        for record in records:
            event = _conversation_event(record)
            message = event.message_sent.message if event.HasField("message_sent") else event.message_changed.message
            if text_in(message):
                keys.append((ConversationId(UUID(event.conversation_id)), message.seq))
        if keys:
            await self._messaging.index_words(list(dict.fromkeys(keys)))


class CallRecords:
    """calls.events.v1 → a message in the conversation for each call that ended. Idempotent by the call's id."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Record what ended. Errors: PoisonRecord, TransientFailure, StoreUnavailable."""
        for record in records:
            event = _parse(calls.CallEvent, record)
            require_key(record, event.call_id, "call_id")
            call = event.call_changed.call
            if event.HasField("call_changed") and call.call_id != event.call_id:
                raise PoisonRecord("an event of one call that holds another")
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
                participants=_participants(call),
            )
            conversation_id = ConversationId(check_uuid("conversation_id", call.conversation_id))
            await self._messaging.record_call(conversation_id, model.UserId(call.caller_id), entry)
        except Overloaded as error:
            raise TransientFailure(str(error)) from error
        except (MessagingError, KeyError) as error:
            raise PoisonRecord(named(error)) from error


def _participants(call: call_messages.Call) -> tuple[model.UserId, ...]:
    """Who was in the call at some time; signaling lists the caller first."""
    return tuple(model.UserId(person.user_id) for person in call.participants if person.HasField("join_time"))


def _conversation_event(record: Incoming) -> events_pb2.ConversationEvent:
    event = _parse(events_pb2.ConversationEvent, record)
    try:
        UUID(event.conversation_id)
    except ValueError as error:
        raise PoisonRecord("conversation_id is not a UUID") from error
    require_key(record, event.conversation_id, "conversation_id")
    if event.WhichOneof("event") is None:
        raise PoisonRecord("an event of an unknown kind")
    return event


EventT = TypeVar("EventT", events_pb2.ConversationEvent, calls.CallEvent)


def _parse(kind: type[EventT], record: Incoming) -> EventT:
    try:
        return kind.FromString(record.value or b"")
    except DecodeError as error:
        raise PoisonRecord(f"not a {kind.DESCRIPTOR.name}") from error
