"""Routes events to the gateways that hold the recipient's devices. No IO; `now` is monotonic seconds."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.presence.core.model import (
    Assignment,
    CutOff,
    Deliver,
    DeviceId,
    DeviceStream,
    Effect,
    LoadLastSeen,
    PresenceChange,
    RecheckWatches,
    Refusal,
    Refused,
    RegisterAck,
    Send,
    Session,
    SessionRef,
    StateChanged,
    StatusCommand,
    StreamId,
    UserDeleted,
    UserId,
    WatchCommand,
)
from services.presence.core.states import OFFLINE, CallActivity
from services.presence.core.user_states import StoredState, UserStates
from services.presence.core.watches import Watches

# The partition of a user, of so many.
PartitionOf = Callable[[UserId, int], int]


@dataclass
class _Gateway:
    """What one attached gateway holds of this replica's users: its devices, and those of its devices that watch."""

    sessions: dict[int, Session] = field(default_factory=dict)
    watching: set[int] = field(default_factory=set)


class Router:
    """The state of one replica: the sessions and watches of its own partitions, and nothing else.

    Every assignment starts from nothing: the gateways register anew, and until each of them has said so
    (`collecting`), nobody is called offline. What a gateway says of users of other partitions is refused.
    """

    def __init__(self, offline_delay_s: float, gateway_sessions: int, partition_of: PartitionOf) -> None:
        self._gateway_sessions = gateway_sessions
        self._partition_of = partition_of
        self._assignment = Assignment(0, frozenset(), 0)
        self._gateways: dict[StreamId, _Gateway] = {}
        self._awaited: set[StreamId] = set()
        self._users = UserStates(offline_delay_s)
        self._watches = Watches()
        # The sessions that wait for the store's answer before they can get a snapshot of a user.
        self._awaiting_last_seen: dict[UserId, set[SessionRef]] = {}

    @property
    def assignment(self) -> Assignment:
        """What this replica owns."""
        return self._assignment

    @property
    def collecting(self) -> bool:
        """Whether some gateway has not registered its devices of the current assignment yet."""
        return bool(self._awaited)

    @property
    def user_count(self) -> int:
        """Users with a device here, and those who left a moment ago."""
        return len(self._users)

    @property
    def gateway_count(self) -> int:
        """Gateways attached."""
        return len(self._gateways)

    @property
    def session_count(self) -> int:
        """Sessions held."""
        return sum(len(gateway.sessions) for gateway in list(self._gateways.values()))

    def has_device(self, user_id: UserId) -> bool:
        """Whether a device of the user is here."""
        return bool(self._users.devices_of(user_id))

    def stream_of(self, user_id: UserId, device_id: DeviceId, now: float) -> DeviceStream | None:
        """How a device's stream stands; None where nothing is known of it. Of several the open one counts, else the one
        that broke last."""
        sessions = [session for _, session in self._sessions_of(user_id, device_id)]
        if not sessions or self.collecting:
            return None
        broken_at = [session.detached_at for session in sessions if session.detached_at is not None]
        return DeviceStream(now - max(broken_at) if len(broken_at) == len(sessions) else None)

    def count_held_by(self, stream: StreamId) -> tuple[int, int]:
        """The sessions of a gateway, and how many watch somebody."""
        gateway = self._gateways.get(stream, _Gateway())
        return len(gateway.sessions), len(gateway.watching)

    def assign(self, partitions: Collection[int], partition_count: int, member_id: str = "") -> list[Effect]:
        """The consumer group gave these partitions; everything is collected anew."""
        self._assignment = Assignment(self._assignment.epoch + 1, frozenset(partitions), partition_count, member_id)
        self._users.clear()
        self._watches.clear()
        self._awaiting_last_seen.clear()
        self._gateways = {stream: _Gateway() for stream in self._gateways}
        self._awaited = set(self._gateways) if partitions else set()
        return [Send(stream, self._assignment) for stream in sorted(self._gateways)]

    def attach(self, stream: StreamId) -> list[Effect]:
        """A gateway has come."""
        self._gateways[stream] = _Gateway()
        return [Send(stream, self._assignment)]

    def detach(self, stream: StreamId, now: float) -> list[Effect]:
        """A gateway has gone, and with it its devices."""
        gateway = self._gateways.pop(stream, _Gateway())
        for session_id in gateway.watching:
            self._watches.replace(SessionRef(stream, session_id), ())
        effects: list[Effect] = []
        for session in gateway.sessions.values():
            effects += self._remove_session(stream, session, now)
        return effects + self._stop_awaiting(stream)

    def registered(self, stream: StreamId, epoch: int) -> list[Effect]:
        """A gateway has registered all that it holds of an assignment."""
        return self._stop_awaiting(stream) if epoch == self._assignment.epoch else []

    def stop_collecting(self) -> list[Effect]:
        """The time for registrations is over; what is not here is not routed."""
        awaited, self._awaited = self._awaited, set()
        return self._all_snapshots() if awaited else []

    def restore(self, epoch: int, stored: Collection[StoredState], now: float) -> list[Effect]:
        """What the owner before has left in the store, once the gateways have registered.

        A user who was online there, and has no device here, is offline after the delay.
        """
        if epoch != self._assignment.epoch:
            return []
        own = [row for row in stored if self._owns(row.user_id)]
        effects: list[Effect] = []
        for user_id in self._users.restore(own, now):
            effects += self._state_changed(user_id)
        return effects

    def register(self, stream: StreamId, epoch: int, sessions: Sequence[Session], now: float) -> list[Effect]:
        """Devices have come. Idempotent. Refused: what follows an older assignment, and users of others' partitions."""
        gateway = self._gateways.get(stream)
        if gateway is None:
            return []
        if epoch != self._assignment.epoch:
            return [Refused(stream, Refusal.STALE_EPOCH, len(sessions))]
        own = [session for session in sessions if self._owns(session.user_id)]
        effects: list[Effect] = _refused(stream, Refusal.FOREIGN_USER, len(sessions) - len(own))
        if len(gateway.sessions) + len(own) > self._gateway_sessions:
            return [*effects, CutOff(stream)]
        acked = tuple(session.session_id for session in own)
        effects.append(Send(stream, RegisterAck(acked)))
        for session in own:
            before = gateway.sessions.get(session.session_id)
            if before and before.user_id != session.user_id:
                effects += self._remove_session(stream, before, now)
            effects += self._add_session(stream, session, now)
        return effects

    def unregister(self, stream: StreamId, session_ids: Iterable[int], now: float) -> list[Effect]:
        """Devices have gone. Idempotent; only the stream's own sessions can be meant."""
        gateway = self._gateways.get(stream)
        if gateway is None:
            return []
        effects: list[Effect] = []
        for session_id in session_ids:
            if session_id in gateway.watching:
                gateway.watching.discard(session_id)
                self._watches.replace(SessionRef(stream, session_id), ())
            session = gateway.sessions.pop(session_id, None)
            if session:
                effects += self._remove_session(stream, session, now)
        return effects

    def detached(self, stream: StreamId, session_ids: Iterable[int], detached: bool, now: float) -> list[Effect]:
        """Devices' streams broke, or are back. Events are routed to them as before. Idempotent."""
        gateway = self._gateways.get(stream, _Gateway())
        effects: list[Effect] = []
        for session_id in session_ids:
            session = gateway.sessions.get(session_id)
            if session:
                effects += self._add_session(stream, replace(session, detached=detached), now)
        return effects

    def watch(self, stream: StreamId, epoch: int, session_id: int, user_ids: Sequence[UserId]) -> list[Effect]:
        """Replace what a session watches here; a snapshot of each person follows."""
        gateway = self._gateways.get(stream)
        if gateway is None:
            return []
        if epoch != self._assignment.epoch:
            return [Refused(stream, Refusal.STALE_EPOCH, 1)]
        own = [user_id for user_id in user_ids if self._owns(user_id)]
        effects: list[Effect] = _refused(stream, Refusal.FOREIGN_USER, len(user_ids) - len(own))
        ref = SessionRef(stream, session_id)
        self._watches.replace(ref, own)
        if not own:
            gateway.watching.discard(session_id)
            return effects
        gateway.watching.add(session_id)
        if len(gateway.watching) > self._gateway_sessions:
            return [*effects, CutOff(stream)]
        return effects if self.collecting else effects + self._snapshots(dict.fromkeys(own, (ref,)))

    def last_seen_loaded(self, user_ids: Iterable[UserId], last_seen: Mapping[UserId, float | None]) -> list[Effect]:
        """The store's answer to a LoadLastSeen; empty when it is away, and then the time is not known."""
        self._users.note_last_seen(
            {user_id: time for user_id, time in last_seen.items() if user_id in self._awaiting_last_seen}
        )
        effects: list[Effect] = []
        for user_id in user_ids:
            waiting = self._awaiting_last_seen.pop(user_id, set())
            refs = waiting.intersection(self._watches.watchers_of(user_id))
            effects += self._notify(refs, user_id)
        return effects

    def deliver(
        self, user_id: UserId, frame: bytes, *, durable: bool, trace: str = "", device_id: DeviceId | None = None
    ) -> list[Effect]:
        """A frame for all devices of a user, or for one of them, once for each gateway that holds some."""
        if device_id is None:
            return _by_stream(self._users.devices_of(user_id), frame, durable, trace)
        return _by_stream([ref for ref, _ in self._sessions_of(user_id, device_id)], frame, durable, trace)

    def route(self, stream: StreamId, user_id: UserId, frame: bytes) -> list[Effect]:
        """An ephemeral frame that a gateway has for a user of this replica."""
        if not self._owns(user_id):
            return [Refused(stream, Refusal.FOREIGN_USER, 1)]
        return self.deliver(user_id, frame, durable=False)

    def route_watch_list(self, user_id: UserId, device_id: DeviceId, user_ids: Sequence[UserId]) -> list[Effect]:
        """Tell the gateway of the user's device what the device wants to watch."""
        return [
            Send(ref.stream, WatchCommand(ref.session_id, tuple(user_ids)))
            for ref, _ in self._sessions_of(user_id, device_id)
        ]

    def set_status(self, user_id: UserId, device_id: DeviceId, away: bool, now: float) -> list[Effect]:
        """The device says whether its user is away from it; its gateway is told, since it registers it anew later."""
        effects: list[Effect] = []
        for ref, session in self._sessions_of(user_id, device_id):
            effects.append(Send(ref.stream, StatusCommand(ref.session_id, away)))
            effects += self._add_session(ref.stream, replace(session, away=away), now)
        return effects

    def note_call(self, user_id: UserId, activity: CallActivity, now: float) -> list[Effect]:
        """A call of the user changed."""
        return self._state_changed(user_id) if self._users.note_call(user_id, activity, now) else []

    def relations_changed(self, user_id: UserId) -> list[Effect]:
        """The user's relations changed: gateways check their watch lists again, and meanwhile nobody is told."""
        own = _grouped(self._users.devices_of(user_id))
        watchers = _grouped(self._watches.remove_watchers(user_id))
        self._awaiting_last_seen.pop(user_id, None)
        return [
            *(Send(stream, RecheckWatches(ids)) for stream, ids in own),
            *(Send(stream, RecheckWatches(ids, about=user_id)) for stream, ids in watchers),
        ]

    def delete_user(self, user_id: UserId) -> list[Effect]:
        """The account is gone. Its devices, should there still be some, change nothing any more."""
        effects = _by_stream(self._watches.remove_watchers(user_id), PresenceChange(user_id, OFFLINE), durable=False)
        self._users.delete(user_id)
        return [*effects, UserDeleted(user_id)]

    def tick(self, now: float, unix: float | None = None) -> list[Effect]:
        """Those whose delay is over are offline. `unix`: now in Unix seconds, to tell when they left; else as `now`."""
        expired = self._users.expire(now, now if unix is None else unix)
        return [effect for user_id in expired for effect in self._state_changed(user_id)]

    def _owns(self, user_id: UserId) -> bool:
        count = self._assignment.partition_count
        return count > 0 and self._partition_of(user_id, count) in self._assignment.partitions

    def _add_session(self, stream: StreamId, session: Session, now: float) -> list[Effect]:
        if session.detached != (session.detached_at is not None):
            session = replace(session, detached_at=now if session.detached else None)
        self._gateways[stream].sessions[session.session_id] = session
        ref = SessionRef(stream, session.session_id)
        changed = self._users.add_session(session.user_id, ref, session.state, now)
        return self._state_changed(session.user_id) if changed else []

    def _remove_session(self, stream: StreamId, session: Session, now: float) -> list[Effect]:
        changed = self._users.remove_session(session.user_id, SessionRef(stream, session.session_id), now)
        return self._state_changed(session.user_id) if changed else []

    def _sessions_of(self, user_id: UserId, device_id: DeviceId) -> list[tuple[SessionRef, Session]]:
        held = [(ref, self._gateways[ref.stream].sessions[ref.session_id]) for ref in self._users.devices_of(user_id)]
        return sorted((ref, session) for ref, session in held if session.device_id == device_id)

    def _stop_awaiting(self, stream: StreamId) -> list[Effect]:
        was_collecting = self.collecting
        self._awaited.discard(stream)
        return self._all_snapshots() if was_collecting and not self.collecting else []

    def _all_snapshots(self) -> list[Effect]:
        return self._snapshots(
            {user_id: self._watches.watchers_of(user_id) for user_id in self._watches.watched_users()}
        )

    def _snapshots(self, asked: Mapping[UserId, Collection[SessionRef]]) -> list[Effect]:
        """Snapshots of the users that are known here; the store is asked about the others, all at once."""
        effects: list[Effect] = []
        unknown = []
        for user_id, refs in asked.items():
            if self._users.is_known(user_id):
                effects += self._notify(refs, user_id)
            else:
                self._awaiting_last_seen.setdefault(user_id, set()).update(refs)
                unknown.append(user_id)
        return [*effects, LoadLastSeen(tuple(unknown))] if unknown else effects

    def _state_changed(self, user_id: UserId) -> list[Effect]:
        if self.collecting or self._users.is_deleted(user_id):
            return []
        partition = self._partition_of(user_id, self._assignment.partition_count)
        state = self._users.state_of(user_id)
        notices = self._notify(self._watches.watchers_of(user_id), user_id)
        return [*notices, StateChanged(user_id, partition, state, self._users.call_of(user_id))]

    def _notify(self, refs: Iterable[SessionRef], user_id: UserId) -> list[Effect]:
        return _by_stream(refs, PresenceChange(user_id, self._users.state_of(user_id)), durable=False)


def _refused(stream: StreamId, reason: Refusal, count: int) -> list[Effect]:
    return [Refused(stream, reason, count)] if count else []


def _by_stream(
    refs: Iterable[SessionRef], content: bytes | PresenceChange, durable: bool, trace: str = ""
) -> list[Effect]:
    return [Send(stream, Deliver(ids, content, durable, trace)) for stream, ids in _grouped(refs)]


def _grouped(refs: Iterable[SessionRef]) -> list[tuple[StreamId, tuple[int, ...]]]:
    grouped: dict[StreamId, list[int]] = defaultdict(list)
    for ref in sorted(refs):
        grouped[ref.stream].append(ref.session_id)
    return [(stream, tuple(ids)) for stream, ids in grouped.items()]
