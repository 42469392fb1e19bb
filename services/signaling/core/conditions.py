"""The conditions of the state table: which row an input is, by who gave it and by what it would leave behind."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from services.signaling.core.inputs import (
    Accept,
    Decline,
    DeviceInput,
    DeviceReturned,
    Join,
    Leave,
    MediaConnected,
    MediaDisconnected,
    MediaSilent,
    Moderation,
    Move,
    Remove,
    RequestMute,
    SetHand,
    SetLock,
    SetMembers,
    TakeOver,
    UserInput,
    WorkerLost,
    WorkerRecovered,
)
from services.signaling.core.model import RUNG, Call, CallState, Leg, LegState, UserId

# The edge finds a connection that was cut after 10 s at the earliest (docs/design/gateway.md#heartbeats). So an event
# stream that ended this soon after the last packet was closed by its device. Raising it takes cut connections for
# closed devices; lowering it misses closed devices where the workers' clocks are behind.
CUT_UNSEEN: Final = timedelta(seconds=9)
# A stream that ended this much before the last packet is not what ended the media: apps in the background have none.
# Raising it takes a tunnel for the end of such an app; lowering it misses closed devices where the workers' clocks are
# ahead.
CLOSED_BEFORE: Final = timedelta(seconds=5)

# The call.


def is_direct(call: Call, _: object, __: datetime) -> bool:
    """A call of two."""
    return not call.group


def is_group(call: Call, _: object, __: datetime) -> bool:
    """A group's call."""
    return call.group


def is_over(call: Call, _: object, __: datetime) -> bool:
    """The call has ended."""
    return call.state is CallState.ENDED


# What a user does.


def by_non_member(call: Call, given: UserInput, _: datetime) -> bool:
    """By somebody who is not part of the call, or not any more."""
    return call.leg_of(given.user_id) is None


def by_former_member(call: Call, given: UserInput, _: datetime) -> bool:
    """By somebody who went from the conversation, or a guest who was put out."""
    return call.leg_of(given.user_id) is None and call.past_leg_of(given.user_id) is not None


def by_caller(call: Call, given: UserInput, _: datetime) -> bool:
    """By the one who placed the call."""
    return given.user_id == call.caller_id


def by_caller_of_two(call: Call, given: UserInput, _: datetime) -> bool:
    """The same in a call of two."""
    return not call.group and given.user_id == call.caller_id


def by_user_in_call(call: Call, given: UserInput, _: datetime) -> bool:
    """By somebody who is in the call, with whichever device."""
    return _is_in(call.leg_of(given.user_id))


def by_user_outside(call: Call, given: UserInput, _: datetime) -> bool:
    """By somebody who is not in the call."""
    return not _is_in(call.leg_of(given.user_id))


def by_device_in_call(call: Call, given: DeviceInput, _: datetime) -> bool:
    """By the device that is in the call."""
    return call.has_device(given.user_id, given.device_id)


def by_other_device(call: Call, given: Accept | Join | Leave | TakeOver, _: datetime) -> bool:
    """By another device of somebody who is in the call."""
    leg = call.leg_of(given.user_id)
    return leg is not None and _is_in(leg) and leg.device_id != given.device_id


def by_removed(call: Call, given: Accept | Join, _: datetime) -> bool:
    """By somebody whom an admin put out of a group's call."""
    leg = call.leg_of(given.user_id)
    return call.group and leg is not None and leg.state is LegState.REMOVED


def is_locked_out(call: Call, given: Accept | Join, _: datetime) -> bool:
    """A group's call is locked; those who are rung may still answer."""
    leg = call.leg_of(given.user_id)
    return call.group and call.locked and leg is not None and leg.state not in RUNG


def is_full(call: Call, _: object, __: datetime) -> bool:
    """As many as may be are in the group's call."""
    return call.group and len(call.joined) >= call.capacity


def by_user_not_rung(call: Call, given: Decline | Leave, _: datetime) -> bool:
    """By somebody who is not rung. The rows for somebody in the call come first."""
    leg = call.leg_of(given.user_id)
    return leg is not None and leg.state not in RUNG


def others_are_rung(call: Call, given: Decline | Leave, _: datetime) -> bool:
    """Somebody else is still rung."""
    return any(leg.state in RUNG and leg.user_id != given.user_id for leg in call.legs)


def others_stay(call: Call, given: Leave, _: datetime) -> bool:
    """By somebody who is in the call, and not alone: guests alone do not keep it."""
    return _is_in(call.leg_of(given.user_id)) and leaves_somebody(call, {given.user_id})


def has_hand_so(call: Call, given: SetHand, _: datetime) -> bool:
    """The hand is raised, or not, already."""
    leg = call.leg_of(given.user_id)
    return leg is not None and (leg.hand_raise_time is not None) == given.raised


# What admins do.


def by_non_member_moderator(call: Call, given: Moderation, _: datetime) -> bool:
    """By somebody who is not part of the call, nor an admin."""
    return call.leg_of(given.user_id) is None and not given.by_admin


def by_no_admin(_: Call, given: Moderation, __: datetime) -> bool:
    """By somebody who may not moderate."""
    return not given.by_admin


def is_locked_so(call: Call, given: SetLock, _: datetime) -> bool:
    """The call is locked, or open, already."""
    return call.locked == given.locked


def was_asked_to_mute(call: Call, given: RequestMute, _: datetime) -> bool:
    """The member was asked already, and is not talking any more."""
    target = call.past_leg_of(given.target_id)
    was_asked = target is not None and target.mute_request_time is not None
    return was_asked and (call.state is CallState.ENDED or not _is_in(target))


def target_is_in_call(call: Call, given: RequestMute, _: datetime) -> bool:
    """The member who is meant is in the call."""
    return _is_in(call.leg_of(given.target_id))


def was_removed(call: Call, given: Remove, _: datetime) -> bool:
    """The member who is meant is out for good already."""
    target = call.past_leg_of(given.target_id)
    return target is not None and target.state in (LegState.REMOVED, LegState.GONE)


def target_is_non_member(call: Call, given: Remove, _: datetime) -> bool:
    """The person who is meant is not part of the call."""
    return call.leg_of(given.target_id) is None


def removal_leaves_somebody(call: Call, given: Remove, _: datetime) -> bool:
    """Somebody else is in the call, or nobody was."""
    return leaves_somebody(call, {given.target_id})


# What the conversation, the workers and the time do.


def members_stay(call: Call, given: SetMembers, _: datetime) -> bool:
    """Somebody who is in the call is still in the conversation, or nobody was in the call."""
    return leaves_somebody(call, {leg.user_id for leg in call.legs if not leg.is_guest} - set(given.user_ids))


MediaReport = MediaConnected | MediaDisconnected | MediaSilent


def worker_never_had_call(call: Call, given: MediaReport, _: datetime) -> bool:
    """From a worker that never had the call. Of a call that has moved, or was on several, earlier workers are not known
    any more; their last reports come late."""
    return call.media_epoch == 0 and not call.spread and not _carries(call, given.worker_id)


def is_stale(call: Call, given: MediaReport, _: datetime) -> bool:
    """Of another device, or from another worker, than the leg has now. An ended call has the last devices, whose late
    media must be ended again."""
    leg = call.leg_of(given.user_id)
    return leg is None or leg.device_id != given.device_id or not call.carries(leg, given.worker_id)


def is_outdated(call: Call, given: MediaConnected | MediaDisconnected, _: datetime) -> bool:
    """Older than what the worker has said since: it comes again, by a consumer that was held up or a replay."""
    leg = call.leg_of(given.user_id)
    last = leg.media_report_time if leg else None
    return last is not None and given.report_time is not None and given.report_time < last


def is_replaced(_: Call, given: MediaDisconnected, __: datetime) -> bool:
    """A newer offer of the device speaks for itself, and its "connected" may come before this."""
    return given.replaced


def may_be_cut_off(_: Call, given: MediaSilent, __: datetime) -> bool:
    """The device has an event stream, or that did not end together with the media."""
    closed_time, heard_time = given.closed_time, given.heard_time
    return closed_time is None or not heard_time - CLOSED_BEFORE <= closed_time <= heard_time + CUT_UNSEEN


def by_device_outside(call: Call, given: DeviceReturned, _: datetime) -> bool:
    """Of another device than the one in the call."""
    return not call.has_device(given.user_id, given.device_id)


def is_worker_of_call(call: Call, given: WorkerLost, _: datetime) -> bool:
    """The worker carries the call, or some of its legs."""
    return _carries(call, given.worker_id) or any(call.carries(leg, given.worker_id) for leg in call.joined)


def is_process_of_call(call: Call, given: WorkerRecovered, _: datetime) -> bool:
    """The process carries the call, or some of its legs."""
    return given.worker.is_same_process(call.worker) or any(call.is_on(leg, given.worker) for leg in call.joined)


def moves_from_here(call: Call, given: Move, _: datetime) -> bool:
    """The call is still where it is to be moved from."""
    return call.worker is None or call.worker.is_same_process(given.from_worker)


def moves_legs(call: Call, given: Move, _: datetime) -> bool:
    """Legs of the call are on the worker that is to carry it no more, where that is not the call's own."""
    return given.from_worker is not None and any(given.from_worker.is_same_process(leg.worker) for leg in call.joined)


def ring_is_over(call: Call, _: object, now: datetime) -> bool:
    """Somebody is rung, and for long enough."""
    return call.rings and now >= call.ring_deadline


def former_is_over(call: Call, _: object, now: datetime) -> bool:
    """The former worker has carried the media on for long enough."""
    return call.former is not None and now >= call.former.close_time


def has_all_media(call: Call, _: object, now: datetime) -> bool:
    """No media that matters is missing for too long: while it rings only that of a closed device."""
    return not _without_media(call, now)


def others_have_media(call: Call, _: object, now: datetime) -> bool:
    """In a group's call somebody stays when those without media are out."""
    return call.group and leaves_somebody(call, _without_media(call, now))


def _without_media(call: Call, now: datetime) -> set[UserId]:
    return {leg.user_id for leg in call.legs if leg.is_overdue(now)}


def _is_in(leg: Leg | None) -> bool:
    return leg is not None and leg.state is LegState.JOINED


def leaves_somebody(call: Call, gone: Collection[UserId]) -> bool:
    """The call goes on without these: guests stay no longer than the members with whom they are, and a server's call
    rings before anybody is in it."""
    left = [leg for leg in call.joined if leg.user_id not in gone]
    if any(not leg.is_guest for leg in call.joined):
        return any(not leg.is_guest for leg in left)
    return bool(left) or not call.joined


def _carries(call: Call, worker_id: str) -> bool:
    return call.worker is not None and call.worker.worker_id == worker_id
