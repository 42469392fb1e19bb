"""What gateways are told, and what else a decision brings about."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, NewType

from services.presence.core.states import CallActivity, OngoingCall, SessionState, UserState

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
# One attached stream of a gateway process; a gateway that comes back gets another.
StreamId = NewType("StreamId", int)


class SessionRef(NamedTuple):
    """A session of a device: the gateway's stream, and the id that the gateway chose."""

    stream: StreamId
    session_id: int


@dataclass(frozen=True, slots=True)
class Session:
    """A device that a gateway has registered here."""

    session_id: int
    user_id: UserId
    device_id: DeviceId
    away: bool = False
    detached: bool = False
    # When this replica heard of it, in monotonic seconds.
    detached_at: float | None = None

    @property
    def state(self) -> SessionState:
        """Whether the device is in use."""
        if self.detached:
            return SessionState.DETACHED
        return SessionState.AWAY if self.away else SessionState.ACTIVE


class DeviceStream(NamedTuple):
    """A device's event stream: for how long it has been broken; None while it is open."""

    broken_s: float | None


class Place(NamedTuple):
    """Where a delivery stands among those of its user that follow each other without gaps: a conversation and a seq."""

    sequence: str
    number: int
    # The user came into the sequence just now: devices may not know it yet.
    newcomer: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one user's devices, and this replica, are to be told; see presence.v1.Delivery."""

    user_id: UserId
    # Empty when there is nothing for devices to read.
    frame: bytes = b""
    delivery_id: str = ""
    place: Place | None = None
    relations_changed: bool = False
    call: CallActivity | None = None
    user_deleted: bool = False
    # The `traceparent` that it came with; empty when its trace is not kept.
    trace: str = ""
    # The one device that it is for; None for all of the user's.
    device_id: DeviceId | None = None


@dataclass(frozen=True)
class Assignment:
    """To a gateway: what this replica owns from now on."""

    epoch: int
    partitions: frozenset[int]
    partition_count: int
    # What the consumer group calls this replica.
    member_id: str = ""


@dataclass(frozen=True)
class RegisterAck:
    """To a gateway: these sessions are routed."""

    session_ids: tuple[int, ...]


@dataclass(frozen=True)
class PresenceChange:
    """A user's state as watchers see it."""

    user_id: UserId
    state: UserState


@dataclass(frozen=True)
class Deliver:
    """To a gateway: for these sessions, a frame that devices read as it is, or a change of presence."""

    session_ids: tuple[int, ...]
    content: bytes | PresenceChange
    durable: bool
    # The `traceparent` of the routing; empty when its trace is not kept.
    trace: str = ""


@dataclass(frozen=True)
class RecheckWatches:
    """To a gateway: check the watch lists of these sessions again; with `about`, only for this one person."""

    session_ids: tuple[int, ...]
    about: UserId | None = None


@dataclass(frozen=True)
class WatchCommand:
    """To a gateway: what the session wants to watch."""

    session_id: int
    user_ids: tuple[UserId, ...]


@dataclass(frozen=True)
class StatusCommand:
    """To a gateway: whether the session's user is away from it."""

    session_id: int
    away: bool


GatewayFrame = Assignment | RegisterAck | Deliver | RecheckWatches | WatchCommand | StatusCommand


@dataclass(frozen=True)
class Send:
    """Effect: a frame for a gateway's stream."""

    stream: StreamId
    frame: GatewayFrame


@dataclass(frozen=True)
class StateChanged:
    """Effect: a user's state, to be kept and told to other systems."""

    user_id: UserId
    partition: int
    state: UserState
    call: OngoingCall | None


@dataclass(frozen=True)
class LoadLastSeen:
    """Effect: look up when these users, who are offline, were last seen, and answer `Router.last_seen_loaded`."""

    user_ids: tuple[UserId, ...]


@dataclass(frozen=True)
class UserDeleted:
    """Effect: the account is gone; nothing of the user is to be kept."""

    user_id: UserId


class Refusal(Enum):
    """Why something that a gateway said was refused. The values are metric labels."""

    STALE_EPOCH = "stale_epoch"
    FOREIGN_USER = "foreign_user"
    UNKNOWN_SESSION = "unknown_session"


@dataclass(frozen=True)
class Refused:
    """Effect: so many entries of a gateway's frame were passed over."""

    stream: StreamId
    reason: Refusal
    count: int


@dataclass(frozen=True)
class CutOff:
    """Effect: end the stream; the gateway holds more than one gateway may."""

    stream: StreamId


Effect = Send | StateChanged | LoadLastSeen | UserDeleted | Refused | CutOff
