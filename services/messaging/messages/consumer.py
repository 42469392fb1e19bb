"""What messages consume: the events of calls, to record them."""

from collections.abc import Sequence
from datetime import timedelta

import structlog
from google.protobuf.message import DecodeError
from parley.calls.v1 import events_pb2 as calls
from parley.calls.v1 import messages_pb2 as call_messages

from services.messaging.kernel import model
from services.messaging.kernel.checks import check_uuid
from services.messaging.kernel.content import CallOutcome, CallRecord
from services.messaging.kernel.errors import ConversationFrozen, MessagingError, Overloaded
from services.messaging.kernel.model import ConversationId
from services.messaging.messages.service.sending import Sending
from services.runtime.kafka.bus import Incoming, PoisonRecord, TransientFailure, require_key
from services.runtime.observability.failures import named

log = structlog.get_logger()

_OUTCOMES = {
    call_messages.END_REASON_HUNG_UP: CallOutcome.COMPLETED,
    call_messages.END_REASON_MISSED: CallOutcome.MISSED,
    call_messages.END_REASON_DECLINED: CallOutcome.DECLINED,
    call_messages.END_REASON_CANCELLED: CallOutcome.CANCELLED,
    call_messages.END_REASON_BUSY: CallOutcome.BUSY,
    call_messages.END_REASON_MEDIA_LOST: CallOutcome.FAILED,
}


class CallRecords:
    """calls.events.v1 → a message in the conversation for each call that ended. Idempotent by the call's id."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Record what ended. Errors: PoisonRecord, TransientFailure, StoreUnavailable."""
        for record in records:
            event = _read_event(record)
            require_key(record, event.call_id, "call_id")
            call = event.call_changed.call
            if event.HasField("call_changed") and call.call_id != event.call_id:
                raise PoisonRecord("an event of one call that holds another")
            if event.HasField("call_changed") and call.state == call_messages.CALL_STATE_ENDED:
                await self._record(call)

    async def _record(self, call: call_messages.Call) -> None:
        if call.scheduled_call_id and not call.HasField("answer_time"):
            # Nobody came at its time, and nobody was called: nobody has missed it.
            return
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
            await self._sending.record_call(conversation_id, model.UserId(call.caller_id), entry)
        except ConversationFrozen:
            # Nothing is put into it, whatever became of it later.
            log.info("call_not_recorded", because="the conversation is frozen")
        except Overloaded as error:
            raise TransientFailure(str(error)) from error
        except (MessagingError, KeyError) as error:
            raise PoisonRecord(named(error)) from error


def _participants(call: call_messages.Call) -> tuple[model.UserId, ...]:
    """Who was in the call at some time; signaling lists the caller first."""
    # Guests have no part in the conversation, nor in its history.
    return tuple(
        model.UserId(person.user_id)
        for person in call.participants
        if person.HasField("join_time") and not person.guest
    )


def _read_event(record: Incoming) -> calls.CallEvent:
    try:
        return calls.CallEvent.FromString(record.value or b"")
    except DecodeError as error:
        raise PoisonRecord("not a CallEvent") from error
