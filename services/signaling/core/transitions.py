"""What each change of the state table does to a call's data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.signaling.core.inputs import (
    Accept,
    Decline,
    Input,
    Join,
    Leave,
    MediaConnected,
    MediaDisconnected,
    Move,
    Remove,
    RequestMute,
    SetHand,
    SetLock,
    SetMembers,
    TakeOver,
)
from services.signaling.core.model import (
    RUNG,
    Call,
    CallState,
    DeviceId,
    FormerWorker,
    Leg,
    LegState,
    MoveReason,
    Timeouts,
    UserId,
)
from services.signaling.core.table import Change


@dataclass(frozen=True)
class Step:
    """What a change may look at besides the call."""

    given: Input
    now: datetime
    timeouts: Timeouts

    @property
    def media_deadline(self) -> datetime:
        return self.now + timedelta(seconds=self.timeouts.media_lost_s)


def dropped_devices(before: Call, after: Call) -> list[tuple[UserId, DeviceId]]:
    """The devices that were in the call and are not any more, whose media is to end."""
    kept = {pair for leg in after.legs for pair in _devices(leg)}
    return [pair for leg in before.legs for pair in _devices(leg) if pair not in kept]


def _devices(leg: Leg) -> list[tuple[UserId, DeviceId]]:
    if leg.state is not LegState.JOINED:
        return []
    return [(leg.user_id, device_id) for device_id in (leg.device_id, leg.former_device_id) if device_id]


def _map_legs(call: Call, fits: Callable[[Leg], bool], change: Callable[[Leg], Leg]) -> Call:
    return replace(call, legs=tuple(change(leg) if fits(leg) else leg for leg in call.legs))


def _map_leg_of(call: Call, user_id: UserId, change: Callable[[Leg], Leg]) -> Call:
    return _map_legs(call, lambda leg: leg.user_id == user_id, change)


def _seat_device(call: Call, step: Step) -> Call:
    given = step.given
    if not isinstance(given, Accept | Join | TakeOver):
        raise TypeError(given)
    takes_over = isinstance(given, TakeOver)
    seated = _map_leg_of(
        call,
        given.user_id,
        lambda leg: replace(
            leg,
            state=LegState.JOINED,
            device_id=given.device_id,
            former_device_id=leg.device_id if takes_over else None,
            media_up=False,
            media_deadline=None,
            join_time=leg.join_time or step.now,
            device_join_time=step.now,
            leave_time=None,
            # What was asked of somebody who hung up and came back is asked no more.
            mute_request_time=leg.mute_request_time if takes_over else None,
        ),
    )
    is_answer = call.answer_time is None and not takes_over
    return replace(seated, answer_time=step.now) if is_answer else seated


def _await_media(call: Call, step: Step) -> Call:
    return _map_legs(
        call,
        lambda leg: leg.state is LegState.JOINED and not leg.media_up,
        lambda leg: replace(leg, media_deadline=leg.media_deadline or step.media_deadline),
    )


def _media_up(call: Call, step: Step) -> Call:
    report = step.given
    if not isinstance(report, MediaConnected):
        raise TypeError(report)
    after = _map_leg_of(
        call, report.user_id, lambda leg: replace(leg, media_up=True, media_deadline=None, former_device_id=None)
    )
    return _note_moved(after, step)


def _note_moved(call: Call, step: Step) -> Call:
    """Once all are on the new worker, the old one is needed for a moment only."""
    if call.move_time is None or not all(leg.media_up for leg in call.joined):
        return call
    settled = step.now + timedelta(seconds=step.timeouts.handoff_settle_s)
    former = replace(call.former, close_time=min(call.former.close_time, settled)) if call.former else None
    return replace(call, move_time=None, former=former)


def _media_down(call: Call, step: Step) -> Call:
    report = step.given
    if not isinstance(report, MediaDisconnected):
        raise TypeError(report)
    return _map_leg_of(call, report.user_id, lambda leg: _lower(leg, call.state, step))


def _all_media_down(call: Call, step: Step) -> Call:
    return _map_legs(call, lambda _: True, lambda leg: _lower(leg, call.state, step))


def _doubt_media(call: Call, step: Step) -> Call:
    """What the worker last said of each leg stays: if it only could not answer, it will not say it again."""
    return _map_legs(
        call,
        lambda leg: leg.media_up,
        lambda leg: replace(leg, media_deadline=leg.media_deadline or step.media_deadline),
    )


def _trust_media(call: Call, _: Step) -> Call:
    return _map_legs(call, lambda leg: leg.media_up, lambda leg: replace(leg, media_deadline=None))


def _lower(leg: Leg, state: CallState, step: Step) -> Leg:
    """A leg without media. A deadline that runs goes on, so that repeated bad news cannot keep a dead call alive."""
    if not leg.media_up:
        return leg
    deadline = leg.media_deadline or step.media_deadline if state is CallState.ACTIVE else None
    return replace(leg, media_up=False, media_deadline=deadline)


def _set_worker(call: Call, step: Step) -> Call:
    move = step.given
    if not isinstance(move, Move):
        raise TypeError(move)
    lives_on = call.worker is not None and move.reason is not MoveReason.WORKER_LOST
    close_time = step.now + timedelta(seconds=step.timeouts.handoff_s)
    return replace(
        call,
        worker=move.to_worker,
        media_epoch=call.media_epoch + 1,
        move_reason=move.reason,
        move_time=step.now,
        former=FormerWorker(call.worker, close_time) if lives_on and call.worker else None,
    )


def _forget_former(call: Call, _: Step) -> Call:
    return replace(call, former=None)


def _stop_ring(call: Call, step: Step) -> Call:
    if not isinstance(step.given, Decline | Leave):
        raise TypeError(step.given)
    return _map_leg_of(call, step.given.user_id, lambda leg: replace(leg, state=LegState.OUT))


def _stop_rings(call: Call, _: Step) -> Call:
    return _map_legs(call, lambda leg: leg.state in RUNG, lambda leg: replace(leg, state=LegState.OUT))


def _unseat(call: Call, step: Step) -> Call:
    if not isinstance(step.given, Leave):
        raise TypeError(step.given)
    return _map_leg_of(call, step.given.user_id, lambda leg: _empty(leg, LegState.OUT, step.now))


def _unseat_expired(call: Call, step: Step) -> Call:
    return _map_legs(
        call,
        lambda leg: leg.media_deadline is not None and step.now >= leg.media_deadline,
        lambda leg: _empty(leg, LegState.OUT, step.now),
    )


def _bar(call: Call, step: Step) -> Call:
    if not isinstance(step.given, Remove):
        raise TypeError(step.given)
    return _map_leg_of(call, step.given.target_id, lambda leg: _empty(leg, LegState.REMOVED, step.now))


def _empty(leg: Leg, state: LegState, now: datetime) -> Leg:
    """A leg whose user is not in the call any more, or never was. What was asked of it stays for who asks again."""
    emptied = Leg(
        leg.user_id,
        state,
        join_time=leg.join_time,
        leave_time=leg.leave_time,
        mute_request_time=leg.mute_request_time,
    )
    return replace(emptied, leave_time=now) if leg.state is LegState.JOINED else emptied


def _note_hand(call: Call, step: Step) -> Call:
    given = step.given
    if not isinstance(given, SetHand):
        raise TypeError(given)
    return _map_leg_of(
        call,
        given.user_id,
        # Raised again, it keeps its place in the line.
        lambda leg: replace(leg, hand_raise_time=(leg.hand_raise_time or step.now) if given.raised else None),
    )


def _note_mute_request(call: Call, step: Step) -> Call:
    if not isinstance(step.given, RequestMute):
        raise TypeError(step.given)
    return _map_leg_of(call, step.given.target_id, lambda leg: replace(leg, mute_request_time=step.now))


def _note_lock(call: Call, step: Step) -> Call:
    if not isinstance(step.given, SetLock):
        raise TypeError(step.given)
    return replace(call, locked=step.given.locked)


def _note_members(call: Call, step: Step) -> Call:
    given = step.given
    if not isinstance(given, SetMembers):
        raise TypeError(given)
    known = {leg.user_id for leg in call.legs}
    without = _map_legs(
        call,
        lambda leg: leg.user_id not in given.user_ids and leg.state is not LegState.GONE,
        lambda leg: _empty(leg, LegState.GONE, step.now),
    )
    # Who was added again may join again.
    back = _map_legs(
        without,
        lambda leg: leg.user_id in given.user_ids and leg.state is LegState.GONE,
        lambda leg: replace(leg, state=LegState.OUT),
    )
    return replace(back, legs=(*back.legs, *(Leg(user_id) for user_id in sorted(given.user_ids - known))))


CHANGES: dict[Change, Callable[[Call, Step], Call]] = {
    Change.SEAT_DEVICE: _seat_device,
    Change.AWAIT_MEDIA: _await_media,
    Change.MEDIA_UP: _media_up,
    Change.MEDIA_DOWN: _media_down,
    Change.ALL_MEDIA_DOWN: _all_media_down,
    Change.DOUBT_MEDIA: _doubt_media,
    Change.TRUST_MEDIA: _trust_media,
    Change.SET_WORKER: _set_worker,
    Change.FORGET_FORMER: _forget_former,
    Change.STOP_RING: _stop_ring,
    Change.STOP_RINGS: _stop_rings,
    Change.UNSEAT: _unseat,
    Change.UNSEAT_EXPIRED: _unseat_expired,
    Change.NOTE_HAND: _note_hand,
    Change.NOTE_MUTE_REQUEST: _note_mute_request,
    Change.BAR: _bar,
    Change.NOTE_LOCK: _note_lock,
    Change.NOTE_MEMBERS: _note_members,
}
