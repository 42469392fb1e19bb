"""What each change of the state table does to a call's data."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from services.signaling.core.inputs import (
    Accept,
    Decline,
    DeviceReturned,
    Entry,
    Join,
    Leave,
    MediaConnected,
    MediaDisconnected,
    MediaSilent,
    Move,
    Remove,
    RequestMute,
    SetHand,
    SetLock,
    SetMembers,
    TakeOver,
    WorkerLost,
    WorkerRecovered,
)
from services.signaling.core.model import (
    OUTSIDE,
    RUNG,
    Call,
    CallState,
    DeviceId,
    FormerWorker,
    Leg,
    LegState,
    MoveReason,
    UserId,
    Worker,
)
from services.signaling.core.rules import Timing, change


def dropped_devices(before: Call, after: Call) -> list[tuple[UserId, DeviceId]]:
    """The devices that were in the call and are not any more, whose media is to end."""
    kept = {pair for leg in after.legs for pair in _devices(leg)}
    return [pair for leg in before.legs for pair in _devices(leg) if pair not in kept]


def _devices(leg: Leg) -> list[tuple[UserId, DeviceId]]:
    if leg.state is not LegState.JOINED:
        return []
    return [(leg.user_id, device_id) for device_id in (leg.device_id, leg.former_device_id) if device_id]


def map_legs(call: Call, fits: Callable[[Leg], bool], to: Callable[[Leg], Leg]) -> Call:
    """The call with some of its legs changed."""
    return replace(call, legs=tuple(to(leg) if fits(leg) else leg for leg in call.legs))


def map_leg_of(call: Call, user_id: UserId, to: Callable[[Leg], Leg]) -> Call:
    """The call with one person's leg changed."""
    return map_legs(call, lambda leg: leg.user_id == user_id, to)


def _with_device(leg: Leg, given: Entry, now: datetime) -> Leg:
    return replace(
        leg,
        state=LegState.JOINED,
        device_id=given.device_id,
        former_device_id=None,
        worker=given.worker,
        former_worker=None,
        media_up=False,
        media_report_time=None,
        media_deadline=None,
        closed_deadline=None,
        join_time=leg.join_time or now,
        device_join_time=now,
        leave_time=None,
    )


@change("join with the device")
def join_with_device(call: Call, given: Accept | Join, timing: Timing) -> Call:
    """The first one besides the caller answers the call."""
    after = map_leg_of(
        call,
        given.user_id,
        # What was asked of somebody who hung up and came back is asked no more.
        lambda leg: replace(_with_device(leg, given, timing.now), mute_request_time=None),
    )
    after = _note_spread(after, given)
    return after if call.answer_time else replace(after, answer_time=timing.now)


@change("take over with the device")
def take_over_with_device(call: Call, given: TakeOver, timing: Timing) -> Call:
    """The former device keeps its media until this one has some."""
    after = map_leg_of(
        call,
        given.user_id,
        lambda leg: replace(
            _with_device(leg, given, timing.now),
            former_device_id=leg.device_id,
            former_worker=None if _are_one(leg.worker, given.worker) else call.worker_of(leg),
        ),
    )
    return _note_spread(after, given)


def _are_one(worker: Worker | None, other: Worker | None) -> bool:
    return worker.is_same_process(other) if worker else other is None


def _note_spread(call: Call, given: Entry) -> Call:
    return replace(call, spread=True) if given.worker and not call.spread else call


@change("await media")
def await_media(call: Call, _: object, timing: Timing) -> Call:
    """Of everybody who is in the call and has none."""
    return map_legs(
        call,
        lambda leg: leg.state is LegState.JOINED and not leg.media_up,
        lambda leg: replace(leg, media_deadline=leg.media_deadline or timing.media_deadline),
    )


@change("media up")
def media_up(call: Call, report: MediaConnected, timing: Timing) -> Call:
    """Of one leg; a move is over once all are on the new worker."""
    after = map_leg_of(
        _note_report(call, report),
        report.user_id,
        lambda leg: replace(
            leg, media_up=True, media_deadline=None, closed_deadline=None, former_device_id=None, former_worker=None
        ),
    )
    return _note_moved(after, timing)


def _note_report(call: Call, report: MediaConnected | MediaDisconnected) -> Call:
    return map_leg_of(call, report.user_id, lambda leg: replace(leg, media_report_time=report.report_time))


def _note_moved(call: Call, timing: Timing) -> Call:
    """Once all of the call's own worker are on the new one, the former one is needed for a moment only."""
    if call.move_time is None or not all(leg.media_up for leg in call.joined if leg.worker is None):
        return call
    overlap_end = timing.now + timedelta(seconds=timing.timeouts.handoff_overlap_s)
    former = replace(call.former, close_time=min(call.former.close_time, overlap_end)) if call.former else None
    return replace(call, move_time=None, former=former)


@change("media down, await it")
def media_down(call: Call, report: MediaDisconnected, timing: Timing) -> Call:
    """Of one leg. A device that ended it itself is taken for closed, until it is asked for at the deadline."""
    noted = _note_report(call, report)
    after = map_leg_of(noted, report.user_id, lambda leg: _without_media(leg, call.state, timing))
    return map_leg_of(after, report.user_id, lambda leg: _closed(leg, timing.now, timing)) if report.closed else after


@change("await the device")
def await_device(call: Call, report: MediaSilent, timing: Timing) -> Call:
    """Whose page is closed: it may be loaded anew."""
    return map_leg_of(call, report.user_id, lambda leg: _closed(leg, report.heard_time, timing))


def _closed(leg: Leg, since: datetime, timing: Timing) -> Leg:
    return replace(leg, closed_deadline=leg.closed_deadline or timing.closed_deadline(since))


@change("trust the device")
def trust_device(call: Call, given: DeviceReturned, _: Timing) -> Call:
    """It is there: its missing media is waited for as ever."""
    return map_leg_of(call, given.user_id, lambda leg: replace(leg, closed_deadline=None))


@change("their media down, await it")
def moved_media_down(call: Call, move: Move, timing: Timing) -> Call:
    """Of all legs on the worker that the call moves away from."""
    return map_legs(
        call,
        lambda leg: move.from_worker is None or call.is_on(leg, move.from_worker),
        lambda leg: _without_media(leg, call.state, timing),
    )


def _without_media(leg: Leg, state: CallState, timing: Timing) -> Leg:
    """A deadline that runs goes on, so that repeated bad news cannot keep a dead call alive."""
    if not leg.media_up:
        return leg
    deadline = leg.media_deadline or timing.media_deadline if state is CallState.ACTIVE else None
    return replace(leg, media_up=False, media_deadline=deadline)


@change("await news of its media")
def await_news_of_media(call: Call, lost: WorkerLost, timing: Timing) -> Call:
    """What the worker last said of each leg stays: if it only could not answer, it will not say it again."""
    return map_legs(
        call,
        lambda leg: leg.media_up and call.carries(leg, lost.worker_id),
        lambda leg: replace(leg, media_deadline=leg.media_deadline or timing.media_deadline),
    )


@change("trust the last news of its media")
def trust_news_of_media(call: Call, found: WorkerRecovered, _: Timing) -> Call:
    """Nothing was lost."""
    return map_legs(
        call,
        lambda leg: leg.media_up and call.is_on(leg, found.worker),
        lambda leg: replace(leg, media_deadline=None),
    )


def _when_the_call_moves(leg: Leg, to_worker: Worker) -> Leg:
    if leg.worker is None:
        # The time of a report is the worker's own.
        return replace(leg, media_report_time=None)
    worker = None if to_worker.is_same_process(leg.worker) else leg.worker
    return replace(leg, worker=worker, epoch_offset=leg.epoch_offset - 1)


@change("set worker")
def set_worker(call: Call, move: Move, timing: Timing) -> Call:
    """The worker before goes on for a while, unless it is lost. Legs on others stay there, and are told of no move."""
    lives_on = call.worker is not None and move.reason is not MoveReason.WORKER_LOST
    close_time = timing.now + timedelta(seconds=timing.timeouts.handoff_s)
    after = map_legs(call, lambda _: True, lambda leg: _when_the_call_moves(leg, move.to_worker))
    return replace(
        after,
        worker=move.to_worker,
        media_epoch=call.media_epoch + 1,
        move_reason=move.reason,
        move_time=timing.now,
        former=FormerWorker(call.worker, close_time) if lives_on and call.worker else None,
    )


@change("set the legs' worker")
def set_worker_of_legs(call: Call, move: Move, _: Timing) -> Call:
    """Of those that are on another worker than the call's, and go to a third, or to the call's."""
    lives_on = move.reason is not MoveReason.WORKER_LOST
    is_home = move.to_worker.is_same_process(call.worker)
    moved = map_legs(
        call,
        lambda leg: leg.state is LegState.JOINED and move.from_worker is not None and call.is_on(leg, move.from_worker),
        lambda leg: replace(
            leg,
            worker=None if is_home else move.to_worker,
            former_worker=leg.worker if lives_on else None,
            media_report_time=None,
            epoch_offset=leg.epoch_offset + 1,
        ),
    )
    return replace(moved, move_reason=move.reason)


@change("forget the former worker")
def forget_former(call: Call, _: object, __: Timing) -> Call:
    """Its time is up."""
    return replace(call, former=None)


@change("stop the member's ring")
def stop_ring(call: Call, given: Decline | Leave, _: Timing) -> Call:
    """Of one member."""
    return map_leg_of(call, given.user_id, lambda leg: replace(leg, state=LegState.NOT_IN_CALL))


@change("stop all rings")
def stop_rings(call: Call, _: object, __: Timing) -> Call:
    """Of all members who are rung."""
    return map_legs(call, lambda leg: leg.state in RUNG, lambda leg: replace(leg, state=LegState.NOT_IN_CALL))


@change("take the member out")
def leave(call: Call, given: Leave, timing: Timing) -> Call:
    """A member of a group's call hangs up."""
    return map_leg_of(call, given.user_id, lambda leg: emptied(leg, LegState.NOT_IN_CALL, timing.now))


@change("take those without media out")
def drop_without_media(call: Call, _: object, timing: Timing) -> Call:
    """Whose media is missing, or whose device is closed, for too long."""
    return map_legs(
        call,
        lambda leg: leg.is_overdue(timing.now),
        lambda leg: emptied(leg, LegState.NOT_IN_CALL, timing.now),
    )


@change("remove the member for good")
def remove(call: Call, given: Remove, timing: Timing) -> Call:
    """By an admin."""
    return map_leg_of(call, given.target_id, lambda leg: emptied(leg, LegState.REMOVED, timing.now))


def emptied(leg: Leg, state: LegState, now: datetime) -> Leg:
    """A leg whose user is not in the call any more, or never was. What was asked of it stays for who asks again."""
    emptied = Leg(
        leg.user_id,
        state,
        join_time=leg.join_time,
        leave_time=leg.leave_time,
        mute_request_time=leg.mute_request_time,
        link_id=leg.link_id,
        knock_time=leg.knock_time,
    )
    return replace(emptied, leave_time=now) if leg.state is LegState.JOINED else emptied


@change("note the hand")
def note_hand(call: Call, given: SetHand, timing: Timing) -> Call:
    """A hand that is raised again keeps its time, by which hands are ordered."""
    return map_leg_of(
        call,
        given.user_id,
        lambda leg: replace(leg, hand_raise_time=(leg.hand_raise_time or timing.now) if given.raised else None),
    )


@change("note the request")
def note_mute_request(call: Call, given: RequestMute, timing: Timing) -> Call:
    """The member's device shows it."""
    return map_leg_of(call, given.target_id, lambda leg: replace(leg, mute_request_time=timing.now))


@change("note the lock")
def note_lock(call: Call, given: SetLock, _: Timing) -> Call:
    """Closed to others, or open."""
    return replace(call, locked=given.locked)


@change("add and take out members")
def note_members(call: Call, given: SetMembers, timing: Timing) -> Call:
    """As they are in the conversation. Guests are not, and stay; one who was added to it is a guest no more."""
    known = {leg.user_id for leg in call.legs}
    call = map_legs(call, lambda leg: leg.is_guest and leg.user_id in given.user_ids, _as_member)
    without = map_legs(
        call,
        lambda leg: leg.user_id not in given.user_ids and leg.state is not LegState.GONE and not leg.is_guest,
        lambda leg: emptied(leg, LegState.GONE, timing.now),
    )
    # A member who was added again may join again.
    back = map_legs(
        without,
        lambda leg: leg.user_id in given.user_ids and leg.state is LegState.GONE,
        lambda leg: replace(leg, state=LegState.NOT_IN_CALL),
    )
    return replace(back, legs=(*back.legs, *(Leg(user_id) for user_id in sorted(given.user_ids - known))))


def _as_member(leg: Leg) -> Leg:
    state = LegState.NOT_IN_CALL if leg.state in OUTSIDE else leg.state
    return replace(leg, state=state, link_id=None, knock_time=None)
