"""What presence replicas are told, and what else a decision of the registry brings about."""

from dataclasses import dataclass
from enum import Enum
from typing import NewType

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
# The address of a presence replica.
ReplicaId = NewType("ReplicaId", str)


@dataclass(frozen=True, slots=True)
class Session:
    """A device that is here. `detached`: its stream broke and may be resumed. `away`: its user is not at it."""

    session_id: int
    user_id: UserId
    device_id: DeviceId
    away: bool = False
    detached: bool = False


@dataclass(frozen=True)
class Register:
    """To a replica: devices that it is to route."""

    epoch: int
    sessions: tuple[Session, ...]


@dataclass(frozen=True)
class Unregister:
    """To a replica: devices that left."""

    session_ids: tuple[int, ...]


@dataclass(frozen=True)
class Detached:
    """To a replica: these devices' streams broke, or are back."""

    session_ids: tuple[int, ...]
    detached: bool


@dataclass(frozen=True)
class Registered:
    """To a replica: no more to register of this assignment."""

    epoch: int


@dataclass(frozen=True)
class Watch:
    """To a replica: what a session watches, of the users that the replica owns."""

    epoch: int
    session_id: int
    user_ids: tuple[UserId, ...]


@dataclass(frozen=True)
class Route:
    """To a replica: an ephemeral frame for all devices of a user."""

    user_id: UserId
    frame: bytes


@dataclass(frozen=True)
class RouteWatchList:
    """To a replica: a watch list for the gateway that holds the device."""

    user_id: UserId
    device_id: DeviceId
    user_ids: tuple[UserId, ...]


@dataclass(frozen=True)
class RouteStatus:
    """To a replica: whether the user is away from the device."""

    user_id: UserId
    device_id: DeviceId
    away: bool


@dataclass(frozen=True)
class Gone:
    """To a replica: another one is dead. `member_id` is what the consumer group calls it."""

    member_id: str


PresenceFrame = Register | Unregister | Detached | Registered | Watch | Route | RouteWatchList | RouteStatus | Gone


class CloseReason(Enum):
    """Why a stream is ended by a newer one."""

    REPLACED = "replaced"
    DEVICE_LIMIT = "device_limit"


@dataclass(frozen=True)
class SendToPresence:
    """Effect: a frame for a presence replica."""

    replica: ReplicaId
    frame: PresenceFrame


@dataclass(frozen=True)
class BecameReady:
    """Effect: the session is routed for the first time; nothing is missed from now on."""

    session_id: int


@dataclass(frozen=True)
class RouteMoved:
    """Effect: the session was routed anew; something durable may have been missed in between."""

    session_id: int


@dataclass(frozen=True)
class Close:
    """Effect: end the session and its stream."""

    session_id: int
    reason: CloseReason


Effect = SendToPresence | BecameReady | RouteMoved | Close
