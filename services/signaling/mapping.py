"""Between the core's calls and their protobuf form."""

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import messages_pb2
from parley.keys.v1 import messages_pb2 as keys_pb2

from services.runtime.quiet_hours import QuietHours
from services.signaling.core.call_settings import CallSettings
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
from services.signaling.core.quality import DirectionTotals, UserQuality
from services.signaling.keys.core import Account, CallKey
from services.signaling.links.core import JoinLink

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
    return messages_pb2.LobbyPlace(call_id=call.call_id, state=place_state(call, user_id), version=call.version)


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


def encode_link(link: JoinLink) -> messages_pb2.JoinLink:
    """A link as its hosts are shown it."""
    return messages_pb2.JoinLink(
        link_id=link.link_id,
        call_id=link.call_id,
        maker_user_id=link.maker_id,
        create_time=encode_time(link.create_time),
        expire_time=encode_time(link.expire_time),
        revoke_time=encode_time(link.revoke_time),
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


def encode_record(call: Call, quality: Sequence[UserQuality]) -> messages_pb2.CallRecord:
    """A call that has ended, and how good it was."""
    return messages_pb2.CallRecord(call=encode_call(call), quality=[_encode_quality(each) for each in quality])


def _encode_quality(quality: UserQuality) -> messages_pb2.ParticipantQuality:
    return messages_pb2.ParticipantQuality(
        user_id=quality.user_id,
        duration_s=max(quality.uplink.duration_s, quality.downlink.duration_s),
        uplink=_encode_totals(quality.uplink),
        downlink=_encode_totals(quality.downlink),
    )


def _encode_totals(totals: DirectionTotals) -> messages_pb2.LegSummary:
    return messages_pb2.LegSummary(
        packets=totals.packets,
        bytes=totals.bytes,
        loss_ratio=totals.loss_ratio,
        jitter_ms=totals.jitter_ms,
        max_jitter_ms=totals.max_jitter_ms,
        rtt_ms=totals.rtt_ms,
        max_rtt_ms=totals.max_rtt_ms,
    )


def encode_settings(settings: CallSettings) -> messages_pb2.CallSettings:
    """How somebody wants to be rung."""
    hours = settings.quiet_hours
    if hours is None:
        return messages_pb2.CallSettings(call_waiting=settings.call_waiting)
    quiet = messages_pb2.QuietHours(
        start_minute=hours.start_minute,
        end_minute=hours.end_minute,
        time_zone=hours.time_zone,
        weekdays=hours.weekdays,
    )
    return messages_pb2.CallSettings(call_waiting=settings.call_waiting, quiet_hours=quiet)


def to_settings(encoded: messages_pb2.CallSettings) -> CallSettings:
    """The settings of a request; core.call_settings.find_fault checks them."""
    if not encoded.HasField("quiet_hours"):
        return CallSettings(encoded.call_waiting)
    hours = encoded.quiet_hours
    weekdays = tuple(sorted(set(hours.weekdays)))
    return CallSettings(
        encoded.call_waiting, QuietHours(hours.start_minute, hours.end_minute, hours.time_zone, weekdays)
    )


def encode_account_keys(account: Account) -> keys_pb2.AccountKeys:
    """An account's keys, as it was told to somebody."""
    return keys_pb2.AccountKeys(
        user_id=account.user_id,
        version=account.version,
        account_key=account.account_key,
        devices=[
            keys_pb2.DeviceKeys(
                device_id=device.device_id,
                signing_key=device.signing_key,
                kem_key=device.kem_key,
                signature=device.signature,
                sealed_account_key=device.sealed_account_key,
            )
            for device in account.devices
        ],
    )


def encode_call_key(key: CallKey) -> keys_pb2.CallKey:
    """A sealed key, for the device that can open it."""
    return keys_pb2.CallKey(
        call_id=key.call_id,
        sender_user_id=key.sender_id,
        sender_device_id=key.sender_device_id,
        device_id=key.key.device_id,
        epoch=key.epoch,
        sealed_key=key.key.sealed_key,
    )
