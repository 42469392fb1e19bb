"""How a call begins and goes on: the table has the row for an input, and the row gives the next call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.signaling.core.model import (
    RUNG,
    Call,
    CallId,
    CallState,
    ConversationId,
    DeviceId,
    EndReason,
    Leg,
    LegState,
    Timeouts,
    UserId,
    Worker,
)
from services.signaling.core.rules import Effect, Timing
from services.signaling.core.table import InputT, find_row

# People in a one-to-one call.
DIRECT_CAPACITY = 2


@dataclass(frozen=True)
class Decision:
    """The call after an input, and what the shell carries out. An unchanged call is the same object."""

    call: Call
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class CallAttempt:
    """What a user asked for when placing a call. `others`: how each other member begins: rung or not.

    `device_id` is empty when a server of the network places it as the user: then nobody is in the call yet.
    """

    call_id: CallId
    conversation_id: ConversationId
    caller_id: UserId
    device_id: DeviceId
    others: Mapping[UserId, LegState]
    video: bool
    group: bool = False
    capacity: int = DIRECT_CAPACITY
    trace: str = ""

    @property
    def callee_id(self) -> UserId | None:
        """The other one of a one-to-one call."""
        return None if self.group else next(iter(self.others), None)


def ring(attempt: CallAttempt, worker: Worker, now: datetime, timeouts: Timeouts) -> Call:
    """A new call that rings, with the caller's device in it, where there is one."""
    caller = Leg(attempt.caller_id)
    if attempt.device_id:
        caller = Leg(attempt.caller_id, LegState.JOINED, attempt.device_id, join_time=now, device_join_time=now)
    return Call(
        call_id=attempt.call_id,
        conversation_id=attempt.conversation_id,
        caller_id=attempt.caller_id,
        video=attempt.video,
        state=CallState.RINGING,
        legs=(caller, *(Leg(user_id, state) for user_id, state in attempt.others.items())),
        create_time=now,
        ring_deadline=now + timedelta(seconds=timeouts.ring_s),
        group=attempt.group,
        capacity=attempt.capacity,
        worker=worker,
        trace=attempt.trace,
    )


def refuse_as_busy(call: Call) -> Call:
    """The same new call, ended before it rang because the callee is in another one."""
    legs = tuple(replace(leg, state=LegState.NOT_IN_CALL) if leg.state in RUNG else leg for leg in call.legs)
    ended = replace(call, legs=legs, state=CallState.ENDED, end_reason=EndReason.BUSY, end_time=call.create_time)
    return replace(ended, worker=None)


def apply_call_waiting(call: Call, busy: Sequence[UserId], waiting: Sequence[UserId]) -> Call:
    """The same new call when these callees are busy with others: those with call waiting ring all the same."""
    states = {user_id: LegState.WAITING if user_id in waiting else LegState.NOT_IN_CALL for user_id in busy}
    legs = tuple(
        replace(leg, state=states[leg.user_id]) if leg.user_id in states and leg.state is LegState.RINGING else leg
        for leg in call.legs
    )
    return replace(call, legs=legs)


def is_glare(existing: Call, attempt: CallAttempt) -> bool:
    """Whether the callee of this call attempt is at that moment ringing the one who makes it."""
    return (
        existing.state is CallState.RINGING
        and not existing.group
        and existing.conversation_id == attempt.conversation_id
        and existing.caller_id == attempt.callee_id
    )


def handle(call: Call, given: InputT, now: datetime, timeouts: Timeouts) -> Decision:
    """Decide one input by the table.

    Raises the table's refusals. Repeating an input that has had its effect changes nothing.
    """
    rule = find_row(call, given, now).outcome(call.state)
    if isinstance(rule, type):
        raise rule
    after = call
    for change in rule.changes:
        after = change.apply(after, given, Timing(now, timeouts))
    after = replace(after, state=rule.state)
    if rule.state is CallState.ENDED and call.state is not CallState.ENDED:
        legs = tuple(_end_leg(leg, now) for leg in after.legs)
        after = replace(after, legs=legs, end_reason=rule.end_reason, end_time=now, move_time=None, former=None)
    after = _note_first_media(after, now)
    if after == call:
        return Decision(call, tuple(effect for effect in rule.effects if effect is Effect.CLOSE_MEDIA))
    return Decision(replace(after, version=call.version + 1), rule.effects)


def _end_leg(leg: Leg, now: datetime) -> Leg:
    """A leg of a call that ends: who was in it stays JOINED with the last device, nobody is rung, and nobody waits."""
    state = LegState.NOT_IN_CALL if leg.state in RUNG else leg.state
    if state is LegState.LOBBY:
        state = LegState.WITHDRAWN
    leave_time = now if leg.state is LegState.JOINED else leg.leave_time
    without_media = replace(leg, media_up=False, media_deadline=None, closed_deadline=None, former_device_id=None)
    without_media = replace(without_media, former_worker=None)
    return replace(without_media, state=state, leave_time=leave_time)


def _note_first_media(call: Call, now: datetime) -> Call:
    is_talk = call.state is CallState.ACTIVE and len(call.joined) > 1
    if is_talk and call.media_time is None and all(leg.media_up for leg in call.joined):
        return replace(call, media_time=now)
    return call
