"""The one state that a person has, whatever the number of devices."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum


class PresenceStatus(Enum):
    """What others see of a person's devices. The values are stored."""

    OFFLINE = 0
    ONLINE = 1
    AWAY = 2


@dataclass(frozen=True)
class UserState:
    """`last_seen` is Unix seconds: when the last device left; None unless offline, or when it is not known."""

    status: PresenceStatus
    in_call: bool = False
    last_seen: float | None = None


OFFLINE = UserState(PresenceStatus.OFFLINE)


@dataclass(frozen=True)
class CallActivity:
    """A user's part in a call; of two with the same call the higher version is newer."""

    call_id: str
    version: int
    in_call: bool


@dataclass(frozen=True)
class OngoingCall:
    """The call that a user is in."""

    call_id: str
    version: int


class SessionState(Enum):
    """Whether a device is in use."""

    ACTIVE = "active"
    # The device says that its user is away from it.
    AWAY = "away"
    # Its stream broke and may be resumed: events are still routed to it, but its user does not count as online.
    DETACHED = "detached"


# (an active device, one that is away, the last of both left less than the delay ago) → status.
# None: the status of before. Users who left a moment ago keep it, so that a change of networks does not show.
STATUSES: dict[tuple[bool, bool, bool], PresenceStatus | None] = {
    (True, False, False): PresenceStatus.ONLINE,
    (True, True, False): PresenceStatus.ONLINE,
    (False, True, False): PresenceStatus.AWAY,
    (False, False, True): None,
    (False, False, False): PresenceStatus.OFFLINE,
}


def status_of(states: Collection[SessionState], before: PresenceStatus, *, leaving: bool) -> PresenceStatus:
    """The status of a person with these devices; `before` is what it was, `leaving` whether the delay runs."""
    return STATUSES[SessionState.ACTIVE in states, SessionState.AWAY in states, leaving] or before
