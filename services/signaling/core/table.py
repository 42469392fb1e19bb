"""The state machine of a call: (state, trigger) -> (changes, effects, state) or a named refusal. It is total.

`python -m services.signaling.core.table docs/design/call-states.md` renders it into that file.
"""

import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from services.signaling.core.errors import (
    AlreadyAnswered,
    AnsweredElsewhere,
    CallEnded,
    CallFull,
    CallLocked,
    CallsError,
    NotAdmin,
    NotCallee,
    NotCaller,
    NotGroupCall,
    NotInCall,
    ParticipantNotFound,
    RemovedFromCall,
    WorkerNotOfCall,
)
from services.signaling.core.model import CallState, EndReason


class Trigger(Enum):
    """An input, told apart by who gave it. The value is its line in the table."""

    ACCEPT = "callee accepts"
    ACCEPT_AGAIN = "accepts or joins again on the device that is in the call"
    ACCEPT_ELSEWHERE = "accepts or joins while in the call on another device"
    ACCEPT_BY_CALLER = "caller accepts"
    DECLINE = "callee declines"
    DECLINE_BY_CALLER = "caller declines"
    CANCEL = "caller cancels"
    CANCEL_BY_CALLEE = "callee cancels"
    LEAVE_BY_CALLER = "caller leaves"
    LEAVE_BY_CALLEE = "callee leaves"
    LEAVE_WHEN_GONE = "group: somebody who went from the conversation declines or leaves"
    LEAVE_BY_OTHER_DEVICE = "a device that is not in the call leaves"
    TAKE_OVER = "another device of somebody in the call takes over"
    TAKE_OVER_AGAIN = "the device that is in the call takes over"
    TAKE_OVER_OUTSIDE = "a device of somebody not in the call takes over"
    SET_HAND = "hand raised or lowered"
    SET_HAND_AGAIN = "hand raised or lowered that stands so already"
    SET_HAND_OUTSIDE = "hand raised or lowered by somebody not in the call"
    JOIN = "group: a member accepts or joins"
    JOIN_LOCKED = "group: a member who is not rung joins a locked call"
    JOIN_FULL = "group: a member accepts or joins a full call"
    JOIN_REMOVED = "group: a member who was removed accepts or joins"
    GROUP_DECLINE = "group: a member who is rung declines"
    GROUP_DECLINE_LAST = "group: the last member who is rung declines"
    GROUP_DECLINE_JOINED = "group: a member who is in the call declines"
    GROUP_DECLINE_OUTSIDE = "group: a member who is not rung declines"
    GROUP_LEAVE = "group: one leaves, others stay"
    GROUP_LEAVE_LAST = "group: the last one leaves"
    REQUEST_MUTE = "group: an admin asks for silence"
    REQUEST_MUTE_AGAIN = "group: somebody who was asked for silence and is not talking any more is asked again"
    REQUEST_MUTE_OUTSIDE = "group: an admin asks somebody not in the call for silence"
    REMOVE = "group: an admin removes a member"
    REMOVE_LAST = "group: an admin removes the last one in the call"
    REMOVE_AGAIN = "group: somebody who was removed, or went from the conversation, is removed again"
    REMOVE_STRANGER = "group: an admin removes somebody who is no member"
    SET_LOCK = "group: an admin locks or unlocks"
    SET_LOCK_AGAIN = "group: locked or unlocked as it stands already"
    END_FOR_ALL = "group: an admin ends it for all"
    MODERATE = "group: somebody who is no admin does any of these"
    GROUP_ONLY = "one-to-one: join, or what only admins of groups do"
    SET_MEMBERS = "group: members of the conversation come or go"
    SET_MEMBERS_LAST = "group: the last one in the call goes from the conversation"
    SEVER = "one-to-one: the two may not talk any more"
    RING_EXPIRED = "ring timeout"
    MEDIA_EXPIRED = "media missing for too long"
    MEDIA_EXPIRED_OF_SOME = "group: media of some missing for too long"
    FORMER_EXPIRED = "time of the former SFU worker is up"
    NOTHING_DUE = "timer, nothing due"
    MEDIA_CONNECTED = "media connected"
    MEDIA_DISCONNECTED = "media disconnected"
    MEDIA_STALE = "media event of another device or worker"
    MEDIA_FOREIGN = "media event of a worker that never had the call"
    WORKER_LOST = "SFU worker lost, no other one free"
    WORKER_FOUND = "SFU worker was not lost after all"
    MOVE = "moved to another SFU worker"


class Change(Enum):
    """What happens to the call's own data."""

    SEAT_DEVICE = "seat the device"
    AWAIT_MEDIA = "await media"
    MEDIA_UP = "media up"
    MEDIA_DOWN = "media down, await it"
    ALL_MEDIA_DOWN = "all media down, await it"
    DOUBT_MEDIA = "await news of all media"
    TRUST_MEDIA = "trust the last news of media"
    SET_WORKER = "set worker"
    FORGET_FORMER = "forget the former worker"
    STOP_RING = "stop the member's ring"
    STOP_RINGS = "stop all rings"
    UNSEAT = "unseat the member"
    UNSEAT_EXPIRED = "unseat those without media"
    NOTE_HAND = "note the hand"
    NOTE_MUTE_REQUEST = "note the request"
    BAR = "bar the member"
    NOTE_LOCK = "note the lock"
    NOTE_MEMBERS = "add and take out members"


class Effect(Enum):
    """What the shell carries out: PUBLISH in the same transaction, the others after it."""

    PUBLISH = "publish"
    CLOSE_MEDIA = "close media"
    REMOVE_MEDIA = "end media of devices that are out"
    CLOSE_FORMER = "close media on the former worker"


@dataclass(frozen=True)
class Rule:
    """The new state, what changes on the way there, and what the shell does."""

    state: CallState
    changes: tuple[Change, ...] = ()
    effects: tuple[Effect, ...] = ()
    end_reason: EndReason | None = None


Refusal = type[CallsError]
Row = tuple[Rule | Refusal, Rule | Refusal, Rule | Refusal]

_R, _A, _E = CallState.RINGING, CallState.ACTIVE, CallState.ENDED
_STAY = {state: Rule(state) for state in CallState}
_NOTHING: Row = (_STAY[_R], _STAY[_A], _STAY[_E])
# A device whose media came up after the end must not stay on the worker.
_CLOSE_AGAIN = Rule(_E, effects=(Effect.CLOSE_MEDIA,))
_LOSE_LEG = (Change.MEDIA_DOWN,)
_TELL = (Effect.PUBLISH,)
_TELL_AND_REMOVE = (Effect.PUBLISH, Effect.REMOVE_MEDIA)


def _end(reason: EndReason, *changes: Change) -> Rule:
    return Rule(_E, changes, (Effect.PUBLISH, Effect.CLOSE_MEDIA), end_reason=reason)


def _both(changes: tuple[Change, ...], effects: tuple[Effect, ...], ended: Rule | Refusal) -> Row:
    return Rule(_R, changes, effects), Rule(_A, changes, effects), ended


def _never(refusal: Refusal) -> Row:
    return refusal, refusal, refusal


def _until_ended(refusal: Refusal) -> Row:
    return refusal, refusal, CallEnded


def _end_all(*changes: Change) -> Row:
    return _end(EndReason.CANCELLED, *changes), _end(EndReason.HUNG_UP, *changes), _STAY[_E]


_ANSWER = Rule(_A, (Change.SEAT_DEVICE, Change.AWAIT_MEDIA), _TELL)
_CONNECT = ((Change.MEDIA_UP,), (Effect.REMOVE_MEDIA,))
_MOVE = ((Change.SET_WORKER, Change.ALL_MEDIA_DOWN), (Effect.PUBLISH, Effect.CLOSE_FORMER))

# Columns: ringing, active, ended.
_ROWS: dict[Trigger, Row] = {
    Trigger.ACCEPT: (_ANSWER, _STAY[_A], CallEnded),
    Trigger.ACCEPT_AGAIN: _NOTHING,
    Trigger.ACCEPT_ELSEWHERE: _until_ended(AnsweredElsewhere),
    Trigger.ACCEPT_BY_CALLER: _never(NotCallee),
    Trigger.DECLINE: (_end(EndReason.DECLINED), AlreadyAnswered, _STAY[_E]),
    Trigger.DECLINE_BY_CALLER: _never(NotCallee),
    Trigger.CANCEL: (_end(EndReason.CANCELLED), AlreadyAnswered, _STAY[_E]),
    Trigger.CANCEL_BY_CALLEE: _never(NotCaller),
    Trigger.LEAVE_BY_CALLER: _end_all(),
    Trigger.LEAVE_BY_CALLEE: (_end(EndReason.DECLINED), _end(EndReason.HUNG_UP), _STAY[_E]),
    Trigger.LEAVE_WHEN_GONE: _NOTHING,
    Trigger.LEAVE_BY_OTHER_DEVICE: _NOTHING,
    Trigger.TAKE_OVER: (
        Rule(_R, (Change.SEAT_DEVICE,), _TELL_AND_REMOVE),
        Rule(_A, (Change.SEAT_DEVICE, Change.AWAIT_MEDIA), _TELL_AND_REMOVE),
        CallEnded,
    ),
    Trigger.TAKE_OVER_AGAIN: _NOTHING,
    Trigger.TAKE_OVER_OUTSIDE: _until_ended(NotInCall),
    Trigger.SET_HAND_AGAIN: _NOTHING,
    Trigger.SET_HAND: _both((Change.NOTE_HAND,), _TELL, CallEnded),
    Trigger.SET_HAND_OUTSIDE: _until_ended(NotInCall),
    Trigger.JOIN: (_ANSWER, _ANSWER, CallEnded),
    Trigger.JOIN_LOCKED: _until_ended(CallLocked),
    Trigger.JOIN_FULL: _until_ended(CallFull),
    Trigger.JOIN_REMOVED: _until_ended(RemovedFromCall),
    Trigger.GROUP_DECLINE: _both((Change.STOP_RING,), _TELL, _STAY[_E]),
    Trigger.GROUP_DECLINE_LAST: (
        _end(EndReason.DECLINED, Change.STOP_RING),
        Rule(_A, (Change.STOP_RING,), _TELL),
        _STAY[_E],
    ),
    Trigger.GROUP_DECLINE_JOINED: (AlreadyAnswered, AlreadyAnswered, _STAY[_E]),
    Trigger.GROUP_DECLINE_OUTSIDE: _NOTHING,
    Trigger.GROUP_LEAVE: _both((Change.UNSEAT,), _TELL_AND_REMOVE, _STAY[_E]),
    Trigger.GROUP_LEAVE_LAST: _end_all(),
    Trigger.REQUEST_MUTE: _both((Change.NOTE_MUTE_REQUEST,), _TELL, CallEnded),
    Trigger.REQUEST_MUTE_AGAIN: _NOTHING,
    Trigger.REQUEST_MUTE_OUTSIDE: _until_ended(ParticipantNotFound),
    Trigger.REMOVE: _both((Change.BAR,), _TELL_AND_REMOVE, CallEnded),
    Trigger.REMOVE_LAST: _end_all(Change.BAR),
    Trigger.REMOVE_AGAIN: _NOTHING,
    Trigger.REMOVE_STRANGER: _until_ended(ParticipantNotFound),
    Trigger.SET_LOCK_AGAIN: _NOTHING,
    Trigger.SET_LOCK: _both((Change.NOTE_LOCK,), _TELL, CallEnded),
    Trigger.END_FOR_ALL: _end_all(),
    Trigger.MODERATE: _never(NotAdmin),
    Trigger.GROUP_ONLY: _never(NotGroupCall),
    Trigger.SET_MEMBERS: _both((Change.NOTE_MEMBERS,), _TELL_AND_REMOVE, _STAY[_E]),
    Trigger.SET_MEMBERS_LAST: _end_all(Change.NOTE_MEMBERS),
    # As if nobody had answered: neither learns why.
    Trigger.SEVER: (_end(EndReason.MISSED), _end(EndReason.HUNG_UP), _STAY[_E]),
    Trigger.RING_EXPIRED: (_end(EndReason.MISSED), Rule(_A, (Change.STOP_RINGS,), _TELL), _STAY[_E]),
    Trigger.MEDIA_EXPIRED: (_STAY[_R], _end(EndReason.MEDIA_LOST), _STAY[_E]),
    Trigger.MEDIA_EXPIRED_OF_SOME: (_STAY[_R], Rule(_A, (Change.UNSEAT_EXPIRED,), _TELL_AND_REMOVE), _STAY[_E]),
    Trigger.FORMER_EXPIRED: _both((Change.FORGET_FORMER,), (Effect.CLOSE_FORMER,), _STAY[_E]),
    Trigger.NOTHING_DUE: _NOTHING,
    Trigger.MEDIA_CONNECTED: _both(*_CONNECT, _CLOSE_AGAIN),
    Trigger.MEDIA_DISCONNECTED: (Rule(_R, _LOSE_LEG), Rule(_A, _LOSE_LEG), _STAY[_E]),
    Trigger.MEDIA_STALE: _NOTHING,
    Trigger.MEDIA_FOREIGN: _never(WorkerNotOfCall),
    Trigger.WORKER_LOST: (_STAY[_R], Rule(_A, (Change.DOUBT_MEDIA,)), _STAY[_E]),
    Trigger.WORKER_FOUND: (_STAY[_R], Rule(_A, (Change.TRUST_MEDIA,)), _STAY[_E]),
    Trigger.MOVE: _both(*_MOVE, CallEnded),
}

TABLE: dict[tuple[CallState, Trigger], Rule | Refusal] = {
    (state, trigger): entry for trigger, row in _ROWS.items() for state, entry in zip((_R, _A, _E), row, strict=True)
}

BEGIN = "<!-- state table: made by `python -m services.signaling.core.table` -->"
END = "<!-- end of the state table -->"


def render() -> str:
    """The table in Markdown: a line a trigger, a column a state."""
    lines = ["| input | " + " | ".join(state.value for state in CallState) + " |", "|---|---|---|---|"]
    for trigger in Trigger:
        cells = [_render_cell(state, TABLE[state, trigger]) for state in CallState]
        lines.append(f"| {trigger.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def insert(document: str) -> str:
    """The document with the table between its two marker lines. Raises ValueError when they are missing."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError("the document has no markers for the state table")
    return f"{head}{BEGIN}\n\n{render()}\n\n{END}{tail}"


def _render_cell(state: CallState, entry: Rule | Refusal) -> str:
    if isinstance(entry, type):
        return f"refused: {entry.__name__}"
    parts = [part.value for part in (*entry.changes, *entry.effects)]
    if entry.end_reason:
        parts.insert(0, f"**ended, {entry.end_reason.value}**")
    elif entry.state is not state:
        parts.insert(0, f"**{entry.state.value}**")
    return "; ".join(parts) or "no change"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(insert(path.read_text()))
