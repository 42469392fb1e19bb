"""The one state that a person has, whatever the number of devices."""

from dataclasses import dataclass
from enum import Enum


class Standing(Enum):
    """What others see of a person's devices. The values are stored."""

    OFFLINE = 0
    ONLINE = 1
    AWAY = 2


@dataclass(frozen=True)
class UserState:
    """`last_seen` is Unix seconds: when the last device left; None unless offline, or when it is not known."""

    standing: Standing
    in_call: bool = False
    last_seen: float | None = None


OFFLINE = UserState(Standing.OFFLINE)


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


# (a device that is in use, a device that its user is away from, all devices left less than the delay ago) → standing.
# Who left a moment ago keeps what they had, so that a change of networks shows to nobody; None stands for that.
STANDINGS: dict[tuple[bool, bool, bool], Standing | None] = {
    (True, False, False): Standing.ONLINE,
    (True, True, False): Standing.ONLINE,
    (False, True, False): Standing.AWAY,
    (False, False, True): None,
    (False, False, False): Standing.OFFLINE,
}


def standing_of(in_use: int, away: int, before: Standing, *, leaving: bool) -> Standing:
    """The standing of a person with so many devices in use and so many away; `before` is what it was."""
    return STANDINGS[in_use > 0, away > 0, leaving and not in_use and not away] or before
