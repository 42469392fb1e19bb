"""The state machine of a call: (state, trigger) -> (changes, effects, state) or a named refusal. It is total.

`python -m services.signaling.core.table services/signaling/README.md` renders it into that file.
"""

import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from services.signaling.core.errors import (
    AlreadyAnswered,
    AnsweredElsewhere,
    CallEnded,
    CallsError,
    NotCallee,
    NotCaller,
)
from services.signaling.core.model import CallState, EndReason


class Trigger(Enum):
    """An input, told apart by who gave it. The value is its line in the README."""

    ACCEPT = "callee accepts"
    ACCEPT_AGAIN = "callee accepts again on the device that is in the call"
    ACCEPT_ELSEWHERE = "callee accepts while in the call on another device"
    ACCEPT_BY_CALLER = "caller accepts"
    DECLINE = "callee declines"
    DECLINE_BY_CALLER = "caller declines"
    CANCEL = "caller cancels"
    CANCEL_BY_CALLEE = "callee cancels"
    LEAVE_BY_CALLER = "caller leaves"
    LEAVE_BY_CALLEE = "callee leaves"
    LEAVE_BY_OTHER_DEVICE = "a device that is not in the call leaves"
    RING_EXPIRED = "ring timeout"
    MEDIA_EXPIRED = "media missing for too long"
    NOTHING_DUE = "timer, nothing due"
    MEDIA_CONNECTED = "media connected"
    MEDIA_DISCONNECTED = "media disconnected"
    MEDIA_STALE = "media event of another device or worker"
    WORKER_LOST = "SFU worker lost"
    MOVE = "moved to another SFU worker"


class Change(Enum):
    """What happens to the call's own data."""

    SEAT_DEVICE = "seat the device"
    AWAIT_MEDIA = "await media"
    MEDIA_UP = "media up"
    MEDIA_DOWN = "media down, await it"
    ALL_MEDIA_DOWN = "all media down, await it"
    SET_WORKER = "set worker"


class Effect(Enum):
    """What the shell carries out: ANNOUNCE in the same transaction, CLOSE_MEDIA after it."""

    ANNOUNCE = "announce"
    CLOSE_MEDIA = "close media"


@dataclass(frozen=True)
class Rule:
    """The new state, what changes on the way there, and what the shell does."""

    state: CallState
    changes: tuple[Change, ...] = ()
    effects: tuple[Effect, ...] = ()
    end_reason: EndReason | None = None


Refusal = type[CallsError]

_R, _A, _E = CallState.RINGING, CallState.ACTIVE, CallState.ENDED
_STAY = {state: Rule(state) for state in CallState}
# A device whose media came up after the end must not stay on the worker.
_CLOSE_AGAIN = Rule(_E, effects=(Effect.CLOSE_MEDIA,))
_LOSE_LEG = (Change.MEDIA_DOWN,)
_LOSE_ALL = (Change.ALL_MEDIA_DOWN,)


def _end(reason: EndReason) -> Rule:
    return Rule(_E, effects=(Effect.ANNOUNCE, Effect.CLOSE_MEDIA), end_reason=reason)


_ANSWER = Rule(_A, (Change.SEAT_DEVICE, Change.AWAIT_MEDIA), (Effect.ANNOUNCE,))
_MOVE = (Change.SET_WORKER, Change.ALL_MEDIA_DOWN)

# Columns: ringing, active, ended.
_ROWS: dict[Trigger, tuple[Rule | Refusal, Rule | Refusal, Rule | Refusal]] = {
    Trigger.ACCEPT: (_ANSWER, _STAY[_A], CallEnded),
    Trigger.ACCEPT_AGAIN: (_STAY[_R], _STAY[_A], CallEnded),
    Trigger.ACCEPT_ELSEWHERE: (AnsweredElsewhere, AnsweredElsewhere, CallEnded),
    Trigger.ACCEPT_BY_CALLER: (NotCallee, NotCallee, NotCallee),
    Trigger.DECLINE: (_end(EndReason.DECLINED), AlreadyAnswered, _STAY[_E]),
    Trigger.DECLINE_BY_CALLER: (NotCallee, NotCallee, NotCallee),
    Trigger.CANCEL: (_end(EndReason.CANCELLED), AlreadyAnswered, _STAY[_E]),
    Trigger.CANCEL_BY_CALLEE: (NotCaller, NotCaller, NotCaller),
    Trigger.LEAVE_BY_CALLER: (_end(EndReason.CANCELLED), _end(EndReason.HUNG_UP), _STAY[_E]),
    Trigger.LEAVE_BY_CALLEE: (_end(EndReason.DECLINED), _end(EndReason.HUNG_UP), _STAY[_E]),
    Trigger.LEAVE_BY_OTHER_DEVICE: (_STAY[_R], _STAY[_A], _STAY[_E]),
    Trigger.RING_EXPIRED: (_end(EndReason.MISSED), _STAY[_A], _STAY[_E]),
    Trigger.MEDIA_EXPIRED: (_STAY[_R], _end(EndReason.MEDIA_LOST), _STAY[_E]),
    Trigger.NOTHING_DUE: (_STAY[_R], _STAY[_A], _STAY[_E]),
    Trigger.MEDIA_CONNECTED: (Rule(_R, (Change.MEDIA_UP,)), Rule(_A, (Change.MEDIA_UP,)), _CLOSE_AGAIN),
    Trigger.MEDIA_DISCONNECTED: (Rule(_R, _LOSE_LEG), Rule(_A, _LOSE_LEG), _STAY[_E]),
    Trigger.MEDIA_STALE: (_STAY[_R], _STAY[_A], _STAY[_E]),
    Trigger.WORKER_LOST: (Rule(_R, _LOSE_ALL), Rule(_A, _LOSE_ALL), _STAY[_E]),
    Trigger.MOVE: (Rule(_R, _MOVE), Rule(_A, _MOVE), CallEnded),
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
    return f"{head}{BEGIN}\n{render()}\n{END}{tail}"


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
