"""Which devices are here, and through which presence replica each is routed. No IO, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from services.gateway.core.errors import RouterUnavailable
from services.gateway.core.model import (
    BecameReady,
    Close,
    CloseReason,
    Detached,
    DeviceId,
    Effect,
    Register,
    Registered,
    ReplicaId,
    Route,
    RouteMoved,
    RouteStatus,
    RouteWatchList,
    SendToPresence,
    Session,
    Unregister,
    UserId,
    Watch,
)
from services.runtime.partitions import partition_of

# Sessions of one Register frame. Raising it makes fewer frames; lowering it makes shorter stalls of the stream.
REGISTER_BATCH = 500


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

    def __init__(self, devices_per_user: int) -> None:
        self._devices_per_user = devices_per_user
        self._ids = count(1)
        self._sessions: dict[int, Session] = {}
        # The oldest first.
        self._by_user: dict[UserId, tuple[int, ...]] = {}
        self._ready: set[int] = set()
        self._watches: dict[int, tuple[UserId, ...]] = {}
        self._assignments: dict[ReplicaId, _Assignment] = {}

    @property
    def user_count(self) -> int:
        """Users with a device here."""
        return len(self._by_user)

    @property
    def replicas(self) -> list[ReplicaId]:
        """The replicas that have said what they own."""
        return sorted(self._assignments)

    @property
    def routed(self) -> bool:
        """Whether some replica owns something."""
        return any(assignment.partitions for assignment in self._assignments.values())

    def find(self, session_id: int) -> Session | None:
        """A session that is here."""
        return self._sessions.get(session_id)

    def is_ready(self, session_id: int) -> bool:
        """Whether the session has been routed."""
        return session_id in self._ready

    def sessions_of(self, user_id: UserId) -> list[Session]:
        """A user's devices, the one that came first in front."""
        return [self._sessions[session_id] for session_id in self._by_user.get(user_id, ())]

    def open(self, user_id: UserId, device_id: DeviceId) -> tuple[Session, list[Effect]]:
        """A device's stream has come; an older one of the same device is closed, and of too many devices the oldest."""
        effects: list[Effect] = []
        others = []
        for known in self.sessions_of(user_id):
            if known.device_id == device_id:
                effects.append(Close(known.session_id, CloseReason.REPLACED))
            else:
                others.append(known.session_id)
        for oldest in others[: max(0, len(others) + 1 - self._devices_per_user)]:
            effects.append(Close(oldest, CloseReason.DEVICE_LIMIT))
        session = Session(next(self._ids), user_id, device_id)
        self._sessions[session.session_id] = session
        self._by_user[user_id] = (*self._by_user.get(user_id, ()), session.session_id)
        effects += [
            SendToPresence(replica, Register(assignment.epoch, (session,)))
            for replica, assignment in self._owners(user_id)
        ]
        return session, effects

    def close(self, session_id: int) -> list[Effect]:
        """A device has left. Idempotent."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return []
        left = tuple(other for other in self._by_user[session.user_id] if other != session_id)
        if left:
            self._by_user[session.user_id] = left
        else:
            del self._by_user[session.user_id]
        self._ready.discard(session_id)
        watched = self._watches.pop(session_id, ())
        concerned = {replica for user_id in (session.user_id, *watched) for replica, _ in self._owners(user_id)}
        return [SendToPresence(replica, Unregister((session_id,))) for replica in sorted(concerned)]

    def detach(self, session_id: int) -> list[Effect]:
        """A device's stream broke: events are still routed to it, but it does not make its user online."""
        return self._set_detached(session_id, True)

    def resume(self, session_id: int) -> list[Effect]:
        """A device is back: its user counts as online again, and it gets a snapshot of everybody on its watch list."""
        effects = self._set_detached(session_id, False)
        watched = self._watches.get(session_id, ())
        for replica, assignment in self._assignments.items():
            effects += self._watch_at(replica, assignment, session_id, watched, skip_empty=True)
        return effects

    def set_away(self, session_id: int, away: bool) -> None:
        """The owner of the user said so; it is repeated to owners to come."""
        session = self._sessions.get(session_id)
        if session is not None:
            self._sessions[session_id] = replace(session, away=away)

    def assigned(self, replica: ReplicaId, epoch: int, partitions: Iterable[int], partition_count: int) -> list[Effect]:
        """A replica said what it owns: register with it what it shall route, and watch what it owns."""
        assignment = _Assignment(epoch, frozenset(partitions), partition_count)
        self._assignments[replica] = assignment
        mine = [session for session in self._sessions.values() if assignment.owns(session.user_id)]
        effects: list[Effect] = [
            SendToPresence(replica, Register(epoch, tuple(mine[start : start + REGISTER_BATCH])))
            for start in range(0, len(mine), REGISTER_BATCH)
        ]
        for session_id, user_ids in self._watches.items():
            effects += self._watch_at(replica, assignment, session_id, user_ids, skip_empty=True)
        effects.append(SendToPresence(replica, Registered(epoch)))
        return effects

    def forget_replica(self, replica: ReplicaId) -> None:
        """The stream to a replica broke: what it owned is not known any more."""
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

    def watched(self, session_id: int) -> tuple[UserId, ...]:
        """The people that a session watches."""
        return self._watches.get(session_id, ())

    def watch(self, session_id: int, user_ids: Sequence[UserId]) -> list[Effect]:
        """A session's new watch list, told to all replicas: those that lost their last person must forget."""
        if session_id not in self._sessions:
            return []
        if user_ids:
            self._watches[session_id] = tuple(user_ids)
        else:
            self._watches.pop(session_id, None)
        return [
            effect
            for replica, assignment in self._assignments.items()
            for effect in self._watch_at(replica, assignment, session_id, user_ids, skip_empty=False)
        ]

    def watch_person(self, session_id: int, person: UserId, may_see: bool) -> list[Effect]:
        """Whether a session may watch one person changed: told to the owners of that person alone."""
        if session_id not in self._sessions:
            return []
        others = tuple(user_id for user_id in self._watches.get(session_id, ()) if user_id != person)
        self._watches[session_id] = user_ids = (*others, person) if may_see else others
        return [
            effect
            for replica, assignment in self._owners(person)
            for effect in self._watch_at(replica, assignment, session_id, user_ids, skip_empty=False)
        ]

    def route(self, user_id: UserId, frame: bytes) -> list[Effect]:
        """An ephemeral frame for a user's devices, wherever they are. Errors: RouterUnavailable."""
        return self._to_owners(Route(user_id, frame))

    def route_watch_list(self, user_id: UserId, device_id: DeviceId, user_ids: Sequence[UserId]) -> list[Effect]:
        """A watch list for a device, wherever it is. Errors: RouterUnavailable."""
        return self._to_owners(RouteWatchList(user_id, device_id, tuple(user_ids)))

    def route_status(self, user_id: UserId, device_id: DeviceId, away: bool) -> list[Effect]:
        """Whether the user is away from a device, wherever it is. Errors: RouterUnavailable."""
        return self._to_owners(RouteStatus(user_id, device_id, away))

    def _set_detached(self, session_id: int, detached: bool) -> list[Effect]:
        session = self._sessions.get(session_id)
        if session is None or session.detached == detached:
            return []
        self._sessions[session_id] = replace(session, detached=detached)
        return [
            SendToPresence(replica, Detached((session_id,), detached)) for replica, _ in self._owners(session.user_id)
        ]

    def _owners(self, user_id: UserId) -> list[tuple[ReplicaId, _Assignment]]:
        return [item for item in self._assignments.items() if item[1].owns(user_id)]

    def _to_owners(self, frame: Route | RouteWatchList | RouteStatus) -> list[Effect]:
        owners = self._owners(frame.user_id)
        if not owners:
            raise RouterUnavailable("no route to this user's devices at the moment")
        return [SendToPresence(replica, frame) for replica, _ in owners]

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
        return [SendToPresence(replica, Watch(assignment.epoch, session_id, owned))]
