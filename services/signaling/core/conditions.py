"""Which line of the state table an input is: who gave it, and what it would leave behind."""

from collections.abc import Collection
from datetime import datetime

from services.signaling.core.errors import CallNotFound
from services.signaling.core.inputs import (
    Accept,
    Cancel,
    Decline,
    EndForAll,
    Input,
    Join,
    Leave,
    MediaConnected,
    MediaDisconnected,
    Moderation,
    Move,
    PairClosed,
    Remove,
    RequestMute,
    SetHand,
    SetLock,
    SetMembers,
    TakeOver,
    Tick,
    WorkerLost,
    WorkerRecovered,
)
from services.signaling.core.model import RUNG, Call, CallState, DeviceId, Leg, LegState, UserId
from services.signaling.core.table import Trigger


def classify(call: Call, given: Input, now: datetime) -> Trigger:
    """Which line of the table an input is. Raises CallNotFound for a user who is not part of the call."""
    match given:
        case Accept() | Decline() | Cancel() | Leave() | Join() | TakeOver() | SetHand():
            return _classify_request_of(call, given)
        case RequestMute() | Remove() | SetLock() | EndForAll():
            return _classify_moderation(call, given)
        case SetMembers(user_ids):
            return _classify_members(call, user_ids)
        case PairClosed():
            return Trigger.NOTHING_DUE if call.group else Trigger.SEVER
        case MediaConnected() | MediaDisconnected():
            return _classify_media(call, given)
        case WorkerLost() | WorkerRecovered() | Move():
            return _classify_worker(call, given)
        case Tick():
            return _classify_tick(call, now)


def _classify_request_of(call: Call, given: Accept | Decline | Cancel | Leave | Join | TakeOver | SetHand) -> Trigger:
    leg = call.leg_of(given.user_id)
    if leg:
        return _classify_request(call, leg, given)
    if isinstance(given, Decline | Leave) and call.past_leg_of(given.user_id):
        # Who is out of the conversation is out of its call, as was wanted.
        return Trigger.LEAVE_WHEN_GONE
    raise CallNotFound


def _classify_request(
    call: Call, leg: Leg, given: Accept | Decline | Cancel | Leave | Join | TakeOver | SetHand
) -> Trigger:
    by_caller = leg.user_id == call.caller_id
    match given:
        case Accept(_, device_id):
            return _classify_accept(call, leg, device_id)
        case Join(_, device_id):
            return _classify_join(call, leg, device_id) if call.group else Trigger.GROUP_ONLY
        case Decline():
            return Trigger.DECLINE_BY_CALLER if by_caller else _classify_decline(call, leg)
        case Cancel():
            return Trigger.CANCEL if by_caller else Trigger.CANCEL_BY_CALLEE
        case Leave(_, device_id):
            return _classify_leave(call, leg, device_id)
        case TakeOver(_, device_id):
            return _classify_take_over(leg, device_id)
        case SetHand(_, raised):
            return _classify_hand(leg, raised)


def _classify_hand(leg: Leg, raised: bool) -> Trigger:
    if leg.state is not LegState.JOINED:
        return Trigger.SET_HAND_OUTSIDE
    return Trigger.SET_HAND_AGAIN if (leg.hand_raise_time is not None) == raised else Trigger.SET_HAND


def _classify_accept(call: Call, leg: Leg, device_id: DeviceId) -> Trigger:
    if call.group:
        return _classify_join(call, leg, device_id)
    if leg.user_id == call.caller_id:
        return Trigger.ACCEPT_BY_CALLER
    return _classify_seated(leg, device_id) or Trigger.ACCEPT


def _classify_take_over(leg: Leg, device_id: DeviceId) -> Trigger:
    if leg.state is not LegState.JOINED:
        return Trigger.TAKE_OVER_OUTSIDE
    return Trigger.TAKE_OVER_AGAIN if leg.device_id == device_id else Trigger.TAKE_OVER


def _classify_seated(leg: Leg, device_id: DeviceId) -> Trigger | None:
    """For somebody who is in the call already; None for the others."""
    if leg.device_id is None or leg.state is not LegState.JOINED:
        return None
    return Trigger.ACCEPT_AGAIN if leg.device_id == device_id else Trigger.ACCEPT_ELSEWHERE


def _classify_join(call: Call, leg: Leg, device_id: DeviceId) -> Trigger:
    if seated := _classify_seated(leg, device_id):
        return seated
    if leg.state is LegState.REMOVED:
        return Trigger.JOIN_REMOVED
    if call.locked and leg.state not in RUNG:
        return Trigger.JOIN_LOCKED
    return Trigger.JOIN_FULL if len(call.joined) >= call.capacity else Trigger.JOIN


def _classify_decline(call: Call, leg: Leg) -> Trigger:
    if not call.group:
        return Trigger.DECLINE
    if leg.state is LegState.JOINED:
        return Trigger.GROUP_DECLINE_JOINED
    if leg.state not in RUNG:
        return Trigger.GROUP_DECLINE_OUTSIDE
    others = [other for other in call.legs if other.state in RUNG and other is not leg]
    return Trigger.GROUP_DECLINE if others else Trigger.GROUP_DECLINE_LAST


def _classify_leave(call: Call, leg: Leg, device_id: DeviceId) -> Trigger:
    if leg.state is LegState.JOINED and leg.device_id != device_id:
        return Trigger.LEAVE_BY_OTHER_DEVICE
    if not call.group:
        return Trigger.LEAVE_BY_CALLER if leg.user_id == call.caller_id else Trigger.LEAVE_BY_CALLEE
    if leg.state is LegState.JOINED:
        return Trigger.GROUP_LEAVE if len(call.joined) > 1 else Trigger.GROUP_LEAVE_LAST
    return _classify_decline(call, leg)


def _classify_moderation(call: Call, given: Moderation) -> Trigger:
    if call.leg_of(given.user_id) is None and not given.by_admin:
        raise CallNotFound
    if not call.group:
        return Trigger.GROUP_ONLY
    # What stands already needs no role: whoever did it may have lost theirs since.
    if again := _classify_done(call, given):
        return again
    if not given.by_admin:
        return Trigger.MODERATE
    match given:
        case SetLock():
            return Trigger.SET_LOCK
        case EndForAll():
            return Trigger.END_FOR_ALL
        case RequestMute(_, target_id):
            return Trigger.REQUEST_MUTE if _is_in(call.leg_of(target_id)) else Trigger.REQUEST_MUTE_OUTSIDE
        case Remove(_, target_id):
            if call.leg_of(target_id) is None:
                return Trigger.REMOVE_STRANGER
            return Trigger.REMOVE if _leaves_somebody(call, {target_id}) else Trigger.REMOVE_LAST


def _classify_done(call: Call, given: Moderation) -> Trigger | None:
    """What would be done stands already; None for what is to be done."""
    is_over = call.state is CallState.ENDED
    match given:
        case SetLock(_, locked):
            return Trigger.SET_LOCK_AGAIN if call.locked == locked else None
        case EndForAll():
            return Trigger.END_FOR_ALL if is_over else None
        case RequestMute(_, target_id):
            target = call.past_leg_of(target_id)
            was_asked = target is not None and target.mute_request_time is not None
            return Trigger.REQUEST_MUTE_AGAIN if was_asked and (is_over or not _is_in(target)) else None
        case Remove(_, target_id):
            target = call.past_leg_of(target_id)
            is_out = target is not None and target.state in (LegState.REMOVED, LegState.GONE)
            return Trigger.REMOVE_AGAIN if is_out else None


def _is_in(leg: Leg | None) -> bool:
    return leg is not None and leg.state is LegState.JOINED


def _classify_members(call: Call, user_ids: Collection[UserId]) -> Trigger:
    if not call.group:
        return Trigger.NOTHING_DUE
    gone = {leg.user_id for leg in call.legs} - set(user_ids)
    return Trigger.SET_MEMBERS if _leaves_somebody(call, gone) else Trigger.SET_MEMBERS_LAST


def _leaves_somebody(call: Call, gone: Collection[UserId]) -> bool:
    return any(leg.user_id not in gone for leg in call.joined)


def _classify_media(call: Call, given: MediaConnected | MediaDisconnected) -> Trigger:
    if not _may_have_carried(call, given.worker_id):
        return Trigger.MEDIA_FOREIGN
    if not (_carries(call, given.worker_id) and _has_leg_with(call, given)):
        return Trigger.MEDIA_STALE
    if isinstance(given, MediaConnected):
        return Trigger.MEDIA_CONNECTED
    # The newer offer of the device speaks for itself, and its "connected" may come before this.
    return Trigger.MEDIA_STALE if given.replaced else Trigger.MEDIA_DISCONNECTED


def _classify_worker(call: Call, given: WorkerLost | WorkerRecovered | Move) -> Trigger:
    match given:
        case WorkerLost(worker_id):
            return Trigger.WORKER_LOST if _carries(call, worker_id) else Trigger.MEDIA_STALE
        case WorkerRecovered(worker):
            return Trigger.WORKER_FOUND if worker.is_same_process(call.worker) else Trigger.MEDIA_STALE
        case Move(from_worker):
            is_here = call.worker is None or call.worker.is_same_process(from_worker)
            return Trigger.MOVE if is_here else Trigger.MEDIA_STALE


def _has_leg_with(call: Call, given: MediaConnected | MediaDisconnected) -> bool:
    # Of an ended call, the devices are the last ones, whose late media must be ended again.
    leg = call.leg_of(given.user_id)
    return leg is not None and leg.device_id == given.device_id


def _classify_tick(call: Call, now: datetime) -> Trigger:
    if call.state is CallState.ENDED:
        return Trigger.NOTHING_DUE
    if call.rings and now >= call.ring_deadline:
        return Trigger.RING_EXPIRED
    if call.former and now >= call.former.close_time:
        return Trigger.FORMER_EXPIRED
    expired = {leg.user_id for leg in call.legs if leg.media_deadline and now >= leg.media_deadline}
    if call.state is CallState.RINGING or not expired:
        return Trigger.NOTHING_DUE
    some_stay = call.group and _leaves_somebody(call, expired)
    return Trigger.MEDIA_EXPIRED_OF_SOME if some_stay else Trigger.MEDIA_EXPIRED


def _may_have_carried(call: Call, worker_id: str) -> bool:
    """Of a call that has moved, earlier workers are not known any more; their last reports come late."""
    return call.media_epoch > 0 or _carries(call, worker_id)


def _carries(call: Call, worker_id: str) -> bool:
    return call.worker is not None and call.worker.worker_id == worker_id
