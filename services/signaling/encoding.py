"""Between the core's calls and their protobuf form."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import messages_pb2

from services.signaling.core.grants import Grant
from services.signaling.core.model import Call, CallState, EndReason

_STATES = {
    CallState.RINGING: messages_pb2.CALL_STATE_RINGING,
    CallState.ACTIVE: messages_pb2.CALL_STATE_ACTIVE,
    CallState.ENDED: messages_pb2.CALL_STATE_ENDED,
}
_END_REASONS = {
    EndReason.HUNG_UP: messages_pb2.END_REASON_HUNG_UP,
    EndReason.MISSED: messages_pb2.END_REASON_MISSED,
    EndReason.DECLINED: messages_pb2.END_REASON_DECLINED,
    EndReason.CANCELLED: messages_pb2.END_REASON_CANCELLED,
    EndReason.BUSY: messages_pb2.END_REASON_BUSY,
    EndReason.MEDIA_LOST: messages_pb2.END_REASON_MEDIA_LOST,
}


def encode_time(time: datetime | None) -> Timestamp | None:
    """The time as a Timestamp; None stays None, which leaves a field absent."""
    if time is None:
        return None
    encoded = Timestamp()
    encoded.FromDatetime(time)
    return encoded


def encode_call(call: Call) -> messages_pb2.Call:
    """The call as clients and other services see it: without its worker."""
    return messages_pb2.Call(
        call_id=call.call_id,
        conversation_id=call.conversation_id,
        caller_id=call.caller_id,
        video=call.video,
        state=_STATES[call.state],
        end_reason=_END_REASONS[call.end_reason] if call.end_reason else messages_pb2.END_REASON_UNSPECIFIED,
        participants=[
            messages_pb2.Participant(user_id=leg.user_id, device_id=leg.device_id or "") for leg in call.legs
        ],
        create_time=encode_time(call.create_time),
        answer_time=encode_time(call.answer_time),
        end_time=encode_time(call.end_time),
        ring_deadline_time=encode_time(call.ring_deadline),
        version=call.version,
    )


def encode_grant(grant: Grant | None) -> messages_pb2.MediaGrant | None:
    """The grant; None stays None."""
    if grant is None:
        return None
    return messages_pb2.MediaGrant(
        join_token=grant.join_token,
        expire_time=encode_time(grant.expire_time),
        audio_slots=grant.audio_slots,
        video_slots=grant.video_slots,
    )
