"""Which devices are here, and through which presence replica each is routed. No IO, no clock."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NewType

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
# The address of a presence replica.
ReplicaId = NewType("ReplicaId", str)

# Sessions a Register frame. Higher: fewer frames. Lower: shorter stalls of the stream.
REGISTER_BATCH = 500


class GatewayError(Exception):
    """Base of what the gateway refuses."""


class InvalidField(GatewayError):
    """A value of the request is out of bounds; `field` names it."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


class RouterUnavailable(GatewayError):
    """No presence replica owns the user's partition now: a rebalance or an outage."""


class TooManyDevices(GatewayError):
    """This process takes no more streams."""


class Replaced(GatewayError):
    """The device opened a newer stream."""


class SlowConsumer(GatewayError):
    """The device did not read its events in time."""


class ConversationNotFound(GatewayError):
    """There is no such conversation, or the caller is not in it."""


@dataclass(frozen=True)
class Session:
    session_id: int
    user_id: UserId
    device_id: DeviceId


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


UpFrame = Register | Unregister | Registered | Watch | Route | RouteWatchList


@dataclass(frozen=True)
class SendUp:
    """Effect: a frame for a presence replica."""

    replica: ReplicaId
    frame: UpFrame


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
    """Effect: end the session's stream because a newer one of its device replaces it."""

    session_id: int


Effect = SendUp | BecameReady | RouteMoved | Close


@dataclass(frozen=True)
class _Assignment:
    epoch: int
    partitions: frozenset[int]
    partition_count: int

    def owns(self, user_id: UserId) -> bool:
        return self.partition_count > 0 and partition_of(user_id, self.partition_count) in self.partitions


class Registry:
    """The devices of this gateway and the assignments of the presence replicas that it is attached to.

    During a rebalance two replicas may both claim a partition; a device is then registered with both, and what it
    gets twice it drops by seq.
    """

    def __init__(self) -> None:
        self._ids = count(1)
        self._sessions: dict[int, Session] = {}
        self._by_device: dict[tuple[UserId, DeviceId], int] = {}
        self._ready: set[int] = set()
        self._watches: dict[int, tuple[UserId, ...]] = {}
        self._assignments: dict[ReplicaId, _Assignment] = {}

    @property
    def session_count(self) -> int:
        """Streams open."""
        return len(self._sessions)

    @property
    def routed(self) -> bool:
        """Whether some replica owns something."""
        return any(assignment.partitions for assignment in self._assignments.values())

    def open(self, user_id: UserId, device_id: DeviceId) -> tuple[Session, list[Effect]]:
        """A device's stream has come; an older one of the same device is closed."""
        session = Session(next(self._ids), user_id, device_id)
        effects: list[Effect] = []
        older = self._by_device.get((user_id, device_id))
        if older is not None:
            effects.append(Close(older))
        self._sessions[session.session_id] = session
        self._by_device[user_id, device_id] = session.session_id
        effects += [
            SendUp(replica, Register(assignment.epoch, (session,))) for replica, assignment in self._owners(user_id)
        ]
        return session, effects

    def close(self, session_id: int) -> list[Effect]:
        """A stream has ended. Idempotent."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return []
        if self._by_device.get((session.user_id, session.device_id)) == session_id:
            del self._by_device[session.user_id, session.device_id]
        self._ready.discard(session_id)
        watched = self._watches.pop(session_id, ())
        concerned = {replica for user_id in (session.user_id, *watched) for replica, _ in self._owners(user_id)}
        return [SendUp(replica, Unregister((session_id,))) for replica in sorted(concerned)]

    def assigned(self, replica: ReplicaId, epoch: int, partitions: Iterable[int], partition_count: int) -> list[Effect]:
        """A replica said what it owns: register with it what it shall route, and watch what it owns."""
        assignment = _Assignment(epoch, frozenset(partitions), partition_count)
        self._assignments[replica] = assignment
        mine = [session for session in self._sessions.values() if assignment.owns(session.user_id)]
        effects: list[Effect] = [
            SendUp(replica, Register(epoch, tuple(mine[start : start + REGISTER_BATCH])))
            for start in range(0, len(mine), REGISTER_BATCH)
        ]
        for session_id, user_ids in self._watches.items():
            effects += self._watch_at(replica, assignment, session_id, user_ids, skip_empty=True)
        effects.append(SendUp(replica, Registered(epoch)))
        return effects

    def detached(self, replica: ReplicaId) -> None:
        """The stream to a replica broke."""
        self._assignments.pop(replica, None)

    def acknowledged(self, session_ids: Iterable[int]) -> list[Effect]:
        """A replica routes these sessions now."""
        effects: list[Effect] = []
        for session_id in session_ids:
            if session_id not in self._sessions:
                continue
            effects.append(RouteMoved(session_id) if session_id in self._ready else BecameReady(session_id))
            self._ready.add(session_id)
        return effects

    def watch(self, session_id: int, user_ids: Sequence[UserId]) -> list[Effect]:
        """A session's new watch list, told to all replicas: those that lost their last person must forget."""
        if session_id not in self._sessions:
            return []
        self._watches[session_id] = tuple(user_ids)
        return [
            effect
            for replica, assignment in self._assignments.items()
            for effect in self._watch_at(replica, assignment, session_id, user_ids, skip_empty=False)
        ]

    def route(self, user_id: UserId, frame: bytes) -> list[Effect]:
        """An ephemeral frame for a user's devices, wherever they are. Errors: RouterUnavailable."""
        return [SendUp(replica, Route(user_id, frame)) for replica, _ in self._require_owners(user_id)]

    def route_watch_list(self, user_id: UserId, device_id: DeviceId, user_ids: Sequence[UserId]) -> list[Effect]:
        """A watch list for a device, wherever it is. Errors: RouterUnavailable."""
        frame = RouteWatchList(user_id, device_id, tuple(user_ids))
        return [SendUp(replica, frame) for replica, _ in self._require_owners(user_id)]

    def _owners(self, user_id: UserId) -> list[tuple[ReplicaId, _Assignment]]:
        return [item for item in self._assignments.items() if item[1].owns(user_id)]

    def _require_owners(self, user_id: UserId) -> list[tuple[ReplicaId, _Assignment]]:
        owners = self._owners(user_id)
        if not owners:
            raise RouterUnavailable("no route to this user's devices at the moment")
        return owners

    def _watch_at(
        self,
        replica: ReplicaId,
        assignment: _Assignment,
        session_id: int,
        user_ids: Sequence[UserId],
        *,
        skip_empty: bool,
    ) -> list[Effect]:
        owned = tuple(user_id for user_id in user_ids if assignment.owns(user_id))
        if not owned and skip_empty:
            return []
        return [SendUp(replica, Watch(assignment.epoch, session_id, owned))]


class DeviceQueue:
    """What waits for one device: bounded, durable frames in order, ephemeral ones dropped first.

    Once a durable frame found no room, `overflowed` is set, the queue is empty, and nothing is taken any more: the
    device must sync.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: deque[tuple[bytes, bool]] = deque()
        self.overflowed = False
        self.dropped_ephemeral = 0

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, frame: bytes, *, durable: bool) -> None:
        """Queue a frame. Under pressure ephemeral frames go first."""
        if self.overflowed:
            return
        if len(self._frames) >= self._limit:
            if not durable:
                self.dropped_ephemeral += 1
                return
            self._drop_ephemeral()
        if len(self._frames) >= self._limit:
            self.overflowed = True
            self._frames.clear()
            return
        self._frames.append((frame, durable))

    def pop_all(self) -> list[bytes]:
        """Take everything, in order."""
        frames = [frame for frame, _ in self._frames]
        self._frames.clear()
        return frames

    def _drop_ephemeral(self) -> None:
        durable = [item for item in self._frames if item[1]]
        self.dropped_ephemeral += len(self._frames) - len(durable)
        self._frames = deque(durable)


def check_device_id(value: str) -> DeviceId:
    """A device's id. Raises InvalidField."""
    plain = value.replace("-", "").replace("_", "")
    if not 8 <= len(value) <= 64 or not plain.isascii() or not (plain.isalnum() or not plain):
        raise InvalidField("device_id", "must be 8 to 64 of A-Z, a-z, 0-9, '_' and '-'")
    return DeviceId(value)


def check_watch_list(user_ids: Sequence[str]) -> tuple[UserId, ...]:
    """The people to watch, each once. Raises InvalidField."""
    if len(user_ids) > 1_000:
        raise InvalidField("user_ids", f"has {len(user_ids)} entries; at most 1000 are allowed")
    for user_id in user_ids:
        if not 0 < len(user_id) <= 64 or not user_id.isascii() or not user_id.isprintable() or " " in user_id:
            raise InvalidField("user_ids", "each must be 1 to 64 printable ASCII characters without spaces")
    return tuple(dict.fromkeys(UserId(user_id) for user_id in user_ids))


def partition_of(user_id: UserId, partition_count: int) -> int:
    """The partition of a user, as Kafka's default partitioner has it for the key."""
    return (murmur2(user_id.encode()) & 0x7FFFFFFF) % partition_count


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit MurmurHash2 (org.apache.kafka.common.utils.Utils.murmur2)."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = value * multiplier & mask ^ word
    if len(data) > whole:
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15
