"""The life of a participant's media as a table: (state, input) -> (actions, state)."""

from enum import Enum, auto

from services.sfu.core.session.effects import LeaveReason

# Answered but never connected. Raising it keeps dead offers in the call for longer; lowering it fails joins on slow
# networks.
SETUP_TIMEOUT_S = 15.0
# Nothing came for this long, not even a consent check: those of browsers come every 2.5 to 6 s. Raising it leaves the
# others of a closed page alone for longer; lowering it asks presence about pages that are there. Signaling tells a
# closed page from a cut network by its coming before the edge finds the cut, after 10 s.
SILENCE_S = 6.5
# RFC 7675 section 5.1: consent expires 30 s after the last proof of it.
CONSENT_TIMEOUT_S = 30.0


class State(Enum):
    """Where a participant stands."""

    # Answered; DTLS is not up.
    WAITING = auto()
    # DTLS is up; no media has come.
    CONNECTED = auto()
    FLOWING = auto()
    # Media came, and then nothing for SILENCE_S.
    SILENT = auto()
    GONE = auto()


# The participants that take part in the call.
TAKING_PART = frozenset({State.CONNECTED, State.FLOWING, State.SILENT})


class Input(Enum):
    """What can happen to a participant."""

    TRANSPORT_UP = auto()
    MEDIA = auto()
    # A consent check.
    CONSENT = auto()
    SILENCE = auto()
    TRANSPORT_CLOSED = auto()
    SETUP_TIMEOUT = auto()
    CONSENT_TIMEOUT = auto()
    REMOVED = auto()
    REPLACED = auto()
    WORKER_STOPPED = auto()


class Action(Enum):
    """What is to be done about it."""

    TAKE_SLOTS = auto()
    ANNOUNCE = auto()
    ANNOUNCE_SILENCE = auto()


Outcome = tuple[tuple[Action | LeaveReason, ...], State]

_LEAVES: dict[Input, LeaveReason] = {
    Input.CONSENT_TIMEOUT: LeaveReason.CONSENT_EXPIRED,
    Input.REMOVED: LeaveReason.REMOVED,
    Input.REPLACED: LeaveReason.REPLACED,
    Input.WORKER_STOPPED: LeaveReason.WORKER_STOPPED,
    Input.TRANSPORT_CLOSED: LeaveReason.CLOSED,
}

_ENTRIES: dict[tuple[State, Input], Outcome] = {
    (State.WAITING, Input.TRANSPORT_UP): ((Action.TAKE_SLOTS,), State.CONNECTED),
    (State.CONNECTED, Input.MEDIA): ((Action.ANNOUNCE,), State.FLOWING),
    (State.FLOWING, Input.SILENCE): ((Action.ANNOUNCE_SILENCE,), State.SILENT),
    (State.SILENT, Input.MEDIA): ((Action.ANNOUNCE,), State.FLOWING),
    (State.SILENT, Input.CONSENT): ((Action.ANNOUNCE,), State.FLOWING),
    (State.WAITING, Input.SETUP_TIMEOUT): ((LeaveReason.NEVER_CONNECTED,), State.GONE),
    # The handshake failed: it is over before the timeout.
    (State.WAITING, Input.TRANSPORT_CLOSED): ((LeaveReason.NEVER_CONNECTED,), State.GONE),
    (State.WAITING, Input.REMOVED): ((LeaveReason.REMOVED,), State.GONE),
    (State.WAITING, Input.REPLACED): ((LeaveReason.REPLACED,), State.GONE),
    (State.WAITING, Input.WORKER_STOPPED): ((LeaveReason.WORKER_STOPPED,), State.GONE),
}
_EXITS: dict[tuple[State, Input], Outcome] = {
    (state, happened): ((reason,), State.GONE) for state in TAKING_PART for happened, reason in _LEAVES.items()
}
_TABLE = _ENTRIES | _EXITS


def step(state: State, happened: Input) -> Outcome:
    """What an input means in a state; without an entry it means nothing."""
    return _TABLE.get((state, happened), ((), state))


def timeout_of(state: State, joined_at: float, heard_at: float, now: float) -> Input | None:
    """The timeout that has run out at `now`, if any; `heard_at` is the last authenticated arrival."""
    if state is State.WAITING:
        return Input.SETUP_TIMEOUT if now - joined_at >= SETUP_TIMEOUT_S else None
    if now - heard_at >= CONSENT_TIMEOUT_S:
        return Input.CONSENT_TIMEOUT
    return Input.SILENCE if state is State.FLOWING and now - heard_at >= SILENCE_S else None
