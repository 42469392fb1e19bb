"""The states of users: those with a device here, those who left a moment ago, and when others were last seen."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from services.presence.core.model import SessionRef, UserId
from services.presence.core.states import (
    OFFLINE,
    CallActivity,
    OngoingCall,
    PresenceStatus,
    SessionState,
    UserState,
    status_of,
)

# Offline people whose last-seen time is remembered. Raising it takes more memory; lowering it makes more reads from the
# store.
LAST_SEEN_LIMIT = 200_000
# After this time in a call, the end of the call is taken to be lost. Raising it shows a lost end for longer; lowering
# it hides calls that still run.
CALL_LIMIT_S = 12 * 3600.0


@dataclass(frozen=True)
class StoredState:
    """What the store has of a user who was not offline when it was written."""

    user_id: UserId
    status: PresenceStatus
    call: OngoingCall | None


@dataclass(slots=True)
class _User:
    """Somebody who has a device here, or had one a moment ago."""

    sessions: dict[SessionRef, SessionState] = field(default_factory=dict)
    status: PresenceStatus = PresenceStatus.OFFLINE
    deleted: bool = False


@dataclass(slots=True)
class _SinceAssignment:
    """What came to be known here while the store was still to be read: of these its rows may be older."""

    # Who went offline, or whose account went.
    gone: set[UserId] = field(default_factory=set)
    calls: dict[UserId, CallActivity] = field(default_factory=dict)


class UserStates:
    """`now` is monotonic seconds. Each method that may change a user's state returns whether it did."""

    def __init__(self, offline_delay_s: float) -> None:
        self._offline_delay_s = offline_delay_s
        self._users: dict[UserId, _User] = {}
        # In the order of their time, since the delays are all the same.
        self._leaving: dict[UserId, float] = {}
        self._calls: dict[UserId, tuple[OngoingCall, float]] = {}
        # The most recent last; None: the store knows nothing either.
        self._last_seen: dict[UserId, float | None] = {}
        # None once the store was read.
        self._since_assignment: _SinceAssignment | None = _SinceAssignment()

    def __len__(self) -> int:
        """Users with a device here, and those who left a moment ago."""
        return len(self._users)

    def clear(self) -> None:
        """Nothing is known; another replica may have been the owner meanwhile."""
        for state in (self._users, self._leaving, self._calls, self._last_seen):
            state.clear()
        self._since_assignment = _SinceAssignment()

    def devices_of(self, user_id: UserId) -> Collection[SessionRef]:
        """The streams of a user."""
        user = self._users.get(user_id)
        return user.sessions if user else ()

    def is_known(self, user_id: UserId) -> bool:
        """Whether `state_of` need not ask the store."""
        return self._is_present(user_id) or user_id in self._last_seen

    def state_of(self, user_id: UserId) -> UserState:
        """As watchers see it."""
        user = self._users.get(user_id)
        if user is None or user.status is PresenceStatus.OFFLINE:
            last_seen = self._last_seen.get(user_id)
            return OFFLINE if last_seen is None else UserState(PresenceStatus.OFFLINE, last_seen=last_seen)
        return UserState(user.status, in_call=user_id in self._calls)

    def call_of(self, user_id: UserId) -> OngoingCall | None:
        """The call that a user is in."""
        entry = self._calls.get(user_id)
        return entry[0] if entry else None

    def is_deleted(self, user_id: UserId) -> bool:
        """Whether the account went while a device was still here."""
        user = self._users.get(user_id)
        return user is not None and user.deleted

    def add_session(self, user_id: UserId, ref: SessionRef, state: SessionState, now: float) -> bool:
        """A device has come, or its state changed."""
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = _User()
        user.sessions[ref] = state
        return self._update_status(user_id, user, now)

    def remove_session(self, user_id: UserId, ref: SessionRef, now: float) -> bool:
        """A device has gone. After the last one the user is offline only when the delay is over (`expire`)."""
        user = self._users.get(user_id)
        if user is None or user.sessions.pop(ref, None) is None:
            return False
        return self._update_status(user_id, user, now)

    def expire(self, now: float, unix: float) -> list[UserId]:
        """The users whose state changed because a time is over: the delay after leaving, or the longest time of a call.

        `unix` is the same instant in Unix seconds: when they left is told by it.
        """
        changed = []
        for user_id in _due(self._leaving.items(), now):
            left = unix - (now - (self._leaving.pop(user_id) - self._offline_delay_s))
            user = self._users[user_id]
            if not user.deleted:
                self._last_seen[user_id] = left
                self._trim_last_seen()
                self._note_gone(user_id)
                changed.append(user_id)
            user.status = status_of(user.sessions.values(), user.status, leaving=False)
            if not user.sessions:
                del self._users[user_id]
        for user_id in _due(((user_id, until) for user_id, (_, until) in self._calls.items()), now):
            del self._calls[user_id]
            if self._is_present(user_id):
                changed.append(user_id)
        return changed

    def note_call(self, user_id: UserId, activity: CallActivity, now: float) -> bool:
        """A call of the user changed. What is older than what is known changes nothing."""
        known = self.call_of(user_id)
        is_same = known is not None and known.call_id == activity.call_id
        if known and is_same and known.version > activity.version:
            return False
        if self._since_assignment:
            self._since_assignment.calls[user_id] = activity
        if activity.in_call:
            self._calls.pop(user_id, None)
            self._calls[user_id] = OngoingCall(activity.call_id, activity.version), now + CALL_LIMIT_S
        elif is_same:
            del self._calls[user_id]
        return self._is_present(user_id) and (known is not None) != (user_id in self._calls)

    def note_last_seen(self, last_seen: Mapping[UserId, float | None]) -> None:
        """What the store knows of people who are offline."""
        for user_id, time in last_seen.items():
            if not self._is_present(user_id):
                self._last_seen[user_id] = time
        self._trim_last_seen()

    def restore(self, stored: Collection[StoredState], now: float) -> list[UserId]:
        """What the owner before kept; those whose state is another now.

        A user who has no device here is about to be offline; a user who was in a call still is. What came to be known
        here since the assignment is newer.
        """
        meanwhile, self._since_assignment = self._since_assignment or _SinceAssignment(), None
        stored = [row for row in stored if row.user_id not in meanwhile.gone]
        before = {row.user_id: (row.status, row.call is not None) for row in stored}
        for row in stored:
            if (
                row.call
                and row.user_id not in self._calls
                and not _has_ended(row.call, meanwhile.calls.get(row.user_id))
            ):
                self._calls[row.user_id] = row.call, now + CALL_LIMIT_S
            user = self._users.setdefault(row.user_id, _User())
            if user.status is PresenceStatus.OFFLINE:
                user.status = row.status
                self._update_status(row.user_id, user, now)
        return [
            user_id
            for user_id, user in self._users.items()
            if before.get(user_id, (PresenceStatus.OFFLINE, False)) != (user.status, self._shows_call(user_id))
        ]

    def delete(self, user_id: UserId) -> None:
        """The account is gone."""
        self._last_seen.pop(user_id, None)
        self._calls.pop(user_id, None)
        self._note_gone(user_id)
        user = self._users.get(user_id)
        if user:
            user.deleted = True

    def _note_gone(self, user_id: UserId) -> None:
        if self._since_assignment:
            self._since_assignment.gone.add(user_id)

    def _is_present(self, user_id: UserId) -> bool:
        user = self._users.get(user_id)
        return user is not None and user.status is not PresenceStatus.OFFLINE

    def _shows_call(self, user_id: UserId) -> bool:
        return self._is_present(user_id) and user_id in self._calls

    def _update_status(self, user_id: UserId, user: _User, now: float) -> bool:
        """Bring the status in line with the devices; start the delay when the last one has left."""
        before = user.status
        states = user.sessions.values()
        attached = SessionState.ACTIVE in states or SessionState.AWAY in states
        if attached:
            self._leaving.pop(user_id, None)
            self._last_seen.pop(user_id, None)
        elif before is not PresenceStatus.OFFLINE:
            self._leaving.setdefault(user_id, now + self._offline_delay_s)
        leaving = user_id in self._leaving
        user.status = status_of(states, before, leaving=leaving)
        if not user.sessions and not leaving:
            del self._users[user_id]
        return user.status is not before

    def _trim_last_seen(self) -> None:
        while len(self._last_seen) > LAST_SEEN_LIMIT:
            del self._last_seen[next(iter(self._last_seen))]


def _has_ended(call: OngoingCall, activity: CallActivity | None) -> bool:
    """Whether what became known of the user is the end of this call, and not older than what the store has of it."""
    return (
        activity is not None
        and not activity.in_call
        and activity.call_id == call.call_id
        and activity.version >= call.version
    )


def _due(deadlines: Iterable[tuple[UserId, float]], now: float) -> list[UserId]:
    """The first of these, in the order of their time, that are over."""
    return [user_id for user_id, _ in takewhile(lambda item: item[1] <= now, deadlines)]
