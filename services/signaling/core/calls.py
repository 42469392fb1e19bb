"""How a call moves: an input becomes a trigger, the table gives the rule, the rule gives the next call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.signaling.core.errors import CallNotAllowed, CallNotFound, ConversationNotFound, NotDirectConversation
from services.signaling.core.model import (
    Accept,
    Call,
    CallId,
    CallState,
    Cancel,
    ConversationId,
    Decline,
    DeviceId,
    EndReason,
    Input,
    Leave,
    Leg,
    MediaConnected,
    MediaDisconnected,
    Move,
    Tick,
    Timeouts,
    UserId,
    Worker,
    WorkerLost,
)
from services.signaling.core.table import TABLE, Change, Effect, Trigger


@dataclass(frozen=True)
class Decision:
    """The call after an input, and what the shell carries out. An unchanged call is the same object."""

    call: Call
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class _Step:
    """What a change may look at besides the call."""

    given: Input
    now: datetime
    timeouts: Timeouts

    @property
    def media_deadline(self) -> datetime:
        return self.now + timedelta(seconds=self.timeouts.media_lost_s)


@dataclass(frozen=True)
class Placed:
    """What a user asked for when placing a call."""

    call_id: CallId
    conversation_id: ConversationId
    caller_id: UserId
    device_id: DeviceId
    callee_id: UserId
    video: bool


@dataclass(frozen=True)
class Callees:
    """The members of a conversation, and those of them whom the caller may ring."""

    members: Sequence[UserId]
    allowed: frozenset[UserId]


def find_callee(callees: Callees, caller_id: UserId) -> UserId:
    """The other member of a direct conversation.

    Raises ConversationNotFound when the caller is not a member, NotDirectConversation unless there are just two,
    CallNotAllowed when the other may not be rung.
    """
    if caller_id not in callees.members:
        raise ConversationNotFound
    others = [member for member in callees.members if member != caller_id]
    if len(others) != 1:
        raise NotDirectConversation("a call needs a conversation of exactly two people")
    if others[0] not in callees.allowed:
        raise CallNotAllowed("this call cannot be placed")
    return others[0]


def ring(placed: Placed, worker: Worker, now: datetime, timeouts: Timeouts) -> Call:
    """A new call that rings, with the caller's device in it."""
    return Call(
        call_id=placed.call_id,
        conversation_id=placed.conversation_id,
        caller_id=placed.caller_id,
        video=placed.video,
        state=CallState.RINGING,
        legs=(Leg(placed.caller_id, placed.device_id), Leg(placed.callee_id)),
        create_time=now,
        ring_deadline=now + timedelta(seconds=timeouts.ring_s),
        worker=worker,
    )


def refuse_as_busy(call: Call) -> Call:
    """The same new call, ended before it rang because the callee is in another one."""
    return replace(call, state=CallState.ENDED, end_reason=EndReason.BUSY, end_time=call.create_time, worker=None)


def is_glare(existing: Call, placed: Placed) -> bool:
    """Whether the callee of this call attempt is at that moment ringing the one who makes it."""
    return (
        existing.state is CallState.RINGING
        and existing.conversation_id == placed.conversation_id
        and existing.caller_id == placed.callee_id
    )


def handle(call: Call, given: Input, now: datetime, timeouts: Timeouts) -> Decision:
    """Decide one input by the table.

    Raises CallNotFound for a user who is not part of the call, and the table's refusals. Repeating an input that has
    had its effect changes nothing.
    """
    entry = TABLE[call.state, classify(call, given, now)]
    if isinstance(entry, type):
        raise entry
    after = call
    for change in entry.changes:
        after = _CHANGES[change](after, _Step(given, now, timeouts))
    after = replace(after, state=entry.state)
    if entry.state is CallState.ENDED and call.state is not CallState.ENDED:
        legs = tuple(replace(leg, media_up=False, media_deadline=None) for leg in after.legs)
        after = replace(after, legs=legs, end_reason=entry.end_reason, end_time=now)
    after = _note_first_media(after, now)
    if after == call:
        return Decision(call, entry.effects)
    return Decision(replace(after, version=call.version + 1), entry.effects)


def classify(call: Call, given: Input, now: datetime) -> Trigger:
    """Which line of the table an input is. Raises CallNotFound for a user who is not part of the call."""
    match given:
        case Accept() | Decline() | Cancel() | Leave():
            return _classify_request(call, given)
        case MediaConnected() | MediaDisconnected():
            return _classify_media(call, given)
        case WorkerLost(worker_id):
            return Trigger.WORKER_LOST if _carries(call, worker_id) else Trigger.MEDIA_STALE
        case Move(from_worker_id):
            current = call.worker.worker_id if call.worker else None
            return Trigger.MOVE if current == from_worker_id else Trigger.MEDIA_STALE
        case Tick():
            return _classify_tick(call, now)


def _classify_request(call: Call, given: Accept | Decline | Cancel | Leave) -> Trigger:
    leg = call.leg_of(given.user_id)
    if leg is None:
        raise CallNotFound
    by_caller = given.user_id == call.caller_id
    match given:
        case Accept(_, device_id):
            return Trigger.ACCEPT_BY_CALLER if by_caller else _classify_accept(leg, device_id)
        case Decline():
            return Trigger.DECLINE_BY_CALLER if by_caller else Trigger.DECLINE
        case Cancel():
            return Trigger.CANCEL if by_caller else Trigger.CANCEL_BY_CALLEE
        case Leave(_, device_id):
            if leg.device_id not in (None, device_id):
                return Trigger.LEAVE_BY_OTHER_DEVICE
            return Trigger.LEAVE_BY_CALLER if by_caller else Trigger.LEAVE_BY_CALLEE


def _classify_accept(leg: Leg, device_id: DeviceId) -> Trigger:
    if leg.device_id is None:
        return Trigger.ACCEPT
    return Trigger.ACCEPT_AGAIN if leg.device_id == device_id else Trigger.ACCEPT_ELSEWHERE


def _classify_media(call: Call, given: MediaConnected | MediaDisconnected) -> Trigger:
    if not (_carries(call, given.worker_id) and call.has_device(given.user_id, given.device_id)):
        return Trigger.MEDIA_STALE
    if isinstance(given, MediaConnected):
        return Trigger.MEDIA_CONNECTED
    # The newer offer of the device speaks for itself, and its "connected" may come before this.
    return Trigger.MEDIA_STALE if given.replaced else Trigger.MEDIA_DISCONNECTED


def _classify_tick(call: Call, now: datetime) -> Trigger:
    if call.due_time is None or now < call.due_time:
        return Trigger.NOTHING_DUE
    return Trigger.RING_EXPIRED if call.state is CallState.RINGING else Trigger.MEDIA_EXPIRED


def _carries(call: Call, worker_id: str) -> bool:
    return call.worker is not None and call.worker.worker_id == worker_id


def _note_first_media(call: Call, now: datetime) -> Call:
    if call.state is CallState.ACTIVE and call.media_time is None and all(leg.media_up for leg in call.legs):
        return replace(call, media_time=now)
    return call


def _map_legs(call: Call, fits: Callable[[Leg], bool], change: Callable[[Leg], Leg]) -> Call:
    return replace(call, legs=tuple(change(leg) if fits(leg) else leg for leg in call.legs))


def _seat_device(call: Call, step: _Step) -> Call:
    accept = step.given
    if not isinstance(accept, Accept):
        raise TypeError(accept)
    seated = _map_legs(
        call, lambda leg: leg.user_id == accept.user_id, lambda leg: replace(leg, device_id=accept.device_id)
    )
    return replace(seated, answer_time=step.now)


def _await_media(call: Call, step: _Step) -> Call:
    return _map_legs(call, lambda leg: not leg.media_up, lambda leg: replace(leg, media_deadline=step.media_deadline))


def _media_up(call: Call, step: _Step) -> Call:
    report = step.given
    if not isinstance(report, MediaConnected):
        raise TypeError(report)
    return _map_legs(
        call,
        lambda leg: leg.user_id == report.user_id,
        lambda leg: replace(leg, media_up=True, media_deadline=None),
    )


def _media_down(call: Call, step: _Step) -> Call:
    report = step.given
    if not isinstance(report, MediaDisconnected):
        raise TypeError(report)
    return _map_legs(call, lambda leg: leg.user_id == report.user_id, lambda leg: _lower(leg, call.state, step))


def _all_media_down(call: Call, step: _Step) -> Call:
    return _map_legs(call, lambda _: True, lambda leg: _lower(leg, call.state, step))


def _lower(leg: Leg, state: CallState, step: _Step) -> Leg:
    """A leg without media. A deadline that runs goes on, so that repeated bad news cannot keep a dead call alive."""
    if not leg.media_up:
        return leg
    deadline = step.media_deadline if state is CallState.ACTIVE else None
    return replace(leg, media_up=False, media_deadline=deadline)


def _set_worker(call: Call, step: _Step) -> Call:
    if not isinstance(step.given, Move):
        raise TypeError(step.given)
    return replace(call, worker=step.given.to_worker)


_CHANGES: dict[Change, Callable[[Call, _Step], Call]] = {
    Change.SEAT_DEVICE: _seat_device,
    Change.AWAIT_MEDIA: _await_media,
    Change.MEDIA_UP: _media_up,
    Change.MEDIA_DOWN: _media_down,
    Change.ALL_MEDIA_DOWN: _all_media_down,
    Change.SET_WORKER: _set_worker,
}
