"""Calls as protobufs: as their people see them, and what admits to their media."""

from parley.calls.v1 import messages_pb2

from services.signaling.core.grants import Grant
from services.signaling.core.model import (
    OUTSIDE,
    RUNG,
    Call,
    CallState,
    EndReason,
    Leg,
    LegState,
    MoveReason,
    UserId,
)
from services.signaling.mapping.times import encode_time

# Who went, and who is not part of the call.
_NO_PARTICIPANTS = OUTSIDE | {LegState.GONE}
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
_MOVE_REASONS = {
    MoveReason.DRAIN: messages_pb2.MEDIA_MOVE_REASON_DRAIN,
    MoveReason.WORKER_LOST: messages_pb2.MEDIA_MOVE_REASON_WORKER_LOST,
    MoveReason.OPERATOR: messages_pb2.MEDIA_MOVE_REASON_OPERATOR,
}


def encode_call(call: Call) -> messages_pb2.Call:
    """The call as clients and other services see it: without its worker."""
    return messages_pb2.Call(
        call_id=call.call_id,
        conversation_id=call.conversation_id,
        caller_id=call.caller_id,
        video=call.video,
        state=_STATES[call.state],
        end_reason=_END_REASONS[call.end_reason] if call.end_reason else messages_pb2.END_REASON_UNSPECIFIED,
        participants=[_encode_leg(leg, call) for leg in call.legs if leg.state not in _NO_PARTICIPANTS],
        create_time=encode_time(call.create_time),
        answer_time=encode_time(call.answer_time),
        end_time=encode_time(call.end_time),
        ring_deadline_time=encode_time(call.ring_deadline),
        version=call.version,
        group=call.group,
        locked=call.locked,
        media_move=_encode_move(call),
        lobby=[
            messages_pb2.LobbyGuest(
                user_id=leg.user_id, link_id=leg.link_id or "", knock_time=encode_time(leg.knock_time)
            )
            for leg in call.lobby
        ],
        scheduled_call_id=call.scheduled_id or "",
    )


def _encode_leg(leg: Leg, call: Call) -> messages_pb2.Participant:
    return messages_pb2.Participant(
        user_id=leg.user_id,
        device_id=leg.device_id or "",
        state=_encode_leg_state(leg, call),
        join_time=encode_time(leg.join_time),
        leave_time=encode_time(leg.leave_time),
        hand_raise_time=encode_time(leg.hand_raise_time),
        mute_request_time=encode_time(leg.mute_request_time if leg.state is LegState.JOINED else None),
        guest=leg.is_guest,
    )


def place_state(call: Call | None, user_id: UserId) -> messages_pb2.LobbyPlaceState.ValueType:
    """Where somebody stands who opened a join link of the call; UNSPECIFIED for who never did."""
    leg = next((leg for leg in call.legs if leg.user_id == user_id), None) if call else None
    if leg is None or not leg.is_guest:
        return messages_pb2.LOBBY_PLACE_STATE_UNSPECIFIED
    if leg.state is LegState.LOBBY:
        return messages_pb2.LOBBY_PLACE_STATE_WAITING
    if leg.state is LegState.REFUSED:
        return messages_pb2.LOBBY_PLACE_STATE_REFUSED
    if leg.is_gone or leg.state is LegState.WITHDRAWN:
        return messages_pb2.LOBBY_PLACE_STATE_CLOSED
    return messages_pb2.LOBBY_PLACE_STATE_ADMITTED


def encode_place(call: Call, user_id: UserId) -> messages_pb2.LobbyPlace:
    """All that somebody in the lobby is told."""
    leg = next((leg for leg in call.legs if leg.user_id == user_id), None)
    return messages_pb2.LobbyPlace(
        call_id=call.call_id,
        state=place_state(call, user_id),
        version=call.version,
        link_id=(leg.link_id if leg else None) or "",
    )


def _encode_leg_state(leg: Leg, call: Call) -> messages_pb2.ParticipantState.ValueType:
    # Whether somebody is rung aloud, beside another call or in quiet hours, is not for the others to know.
    if leg.state in RUNG:
        return messages_pb2.PARTICIPANT_STATE_RINGING
    if leg.state is LegState.REMOVED:
        return messages_pb2.PARTICIPANT_STATE_REMOVED
    if leg.state is LegState.JOINED and call.state is not CallState.ENDED:
        return messages_pb2.PARTICIPANT_STATE_JOINED
    return messages_pb2.PARTICIPANT_STATE_LEFT if leg.join_time else messages_pb2.PARTICIPANT_STATE_NOT_JOINED


def _encode_move(call: Call) -> messages_pb2.MediaMove | None:
    if call.move_reason is None:
        return None
    return messages_pb2.MediaMove(
        media_epoch=call.media_epoch,
        reason=_MOVE_REASONS[call.move_reason],
        close_time=encode_time(call.former.close_time if call.former else None),
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
        ice_servers=[
            messages_pb2.IceServer(urls=server.urls, username=server.username, credential=server.credential)
            for server in grant.ice_servers
        ],
        media_epoch=grant.media_epoch,
    )
