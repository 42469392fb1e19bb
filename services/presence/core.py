"""Who is connected where, who watches whom, and what is sent to which gateway. No IO; `now` is Unix seconds."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NewType

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
# Users whose last-seen time is remembered. Higher: more memory. Lower: "last seen" is missing for more people.
LAST_SEEN_LIMIT = 200_000

# One attached stream of a gateway process; a gateway that comes back gets another.
LinkId = NewType("LinkId", int)


class SessionRef(NamedTuple):
    """A device stream: the gateway's link and the id that the gateway chose."""

    link: LinkId
    session_id: int


@dataclass(frozen=True)
class Session:
    session_id: int
    user_id: UserId
    device_id: DeviceId


@dataclass(frozen=True)
class Assignment:
    """To a gateway: what this replica owns from now on."""

    epoch: int
    partitions: frozenset[int]
    partition_count: int


@dataclass(frozen=True)
class RegisterAck:
    """To a gateway: these sessions are routed."""

    session_ids: tuple[int, ...]


@dataclass(frozen=True)
class PresenceChange:
    """A user's state as watchers see it; `last_seen` is Unix seconds."""

    user_id: UserId
    online: bool
    last_seen: float | None = None


@dataclass(frozen=True)
class Deliver:
    """To a gateway: for these sessions, a ready frame or a change of presence."""

    session_ids: tuple[int, ...]
    content: bytes | PresenceChange
    durable: bool


@dataclass(frozen=True)
class WatchCommand:
    """To a gateway: what the session wants to watch."""

    session_id: int
    user_ids: tuple[UserId, ...]


Frame = Assignment | RegisterAck | Deliver | WatchCommand


@dataclass(frozen=True)
class Send:
    """Effect: a frame for a gateway's link."""

    link: LinkId
    frame: Frame


class Router:
    """The state of one replica: the sessions and watches of its own partitions, and nothing else.

    Every assignment starts from nothing: the gateways register anew, and until each of them has said so
    (`collecting`), nobody is called offline.
    """

    def __init__(self, offline_delay_s: float) -> None:
        self._offline_delay_s = offline_delay_s
        self._assignment = Assignment(0, frozenset(), 0)
        self._links: set[LinkId] = set()
        self._awaited: set[LinkId] = set()
        self._sessions: dict[SessionRef, Session] = {}
        self._by_user: dict[UserId, set[SessionRef]] = defaultdict(set)
        self._watching: dict[SessionRef, tuple[UserId, ...]] = {}
        self._watchers: dict[UserId, set[SessionRef]] = defaultdict(set)
        self._leaving: dict[UserId, float] = {}
        self._last_seen: dict[UserId, float] = {}

    @property
    def collecting(self) -> bool:
        """Whether some gateway has not registered its devices of the current assignment yet."""
        return bool(self._awaited)

    @property
    def session_count(self) -> int:
        """Sessions held."""
        return len(self._sessions)

    @property
    def link_count(self) -> int:
        """Gateways attached."""
        return len(self._links)

    @property
    def partition_count(self) -> int:
        """Partitions owned."""
        return len(self._assignment.partitions)

    def assign(self, partitions: Collection[int], partition_count: int) -> list[Send]:
        """The consumer group gave these partitions; everything is collected anew."""
        self._assignment = Assignment(self._assignment.epoch + 1, frozenset(partitions), partition_count)
        for state in (self._sessions, self._by_user, self._watching, self._watchers, self._leaving):
            state.clear()
        self._awaited = set(self._links) if partitions else set()
        return [Send(link, self._assignment) for link in sorted(self._links)]

    def attach(self, link: LinkId) -> list[Send]:
        """A gateway has come."""
        self._links.add(link)
        return [Send(link, self._assignment)]

    def detach(self, link: LinkId, now: float) -> list[Send]:
        """A gateway has gone, and with it its devices."""
        self._links.discard(link)
        gone = [ref for ref in self._sessions if ref.link == link]
        for ref in [ref for ref in self._watching if ref.link == link]:
            self._unwatch(ref)
        for ref in gone:
            self._remove(ref, now)
        return self._settle(link)

    def registered(self, link: LinkId, epoch: int) -> list[Send]:
        """A gateway has registered all that it holds of an assignment."""
        return self._settle(link) if epoch == self._assignment.epoch else []

    def give_up_collecting(self) -> list[Send]:
        """The time for registrations is over; what is not here is not routed."""
        awaited, self._awaited = self._awaited, set()
        return self._all_snapshots() if awaited else []

    def register(self, link: LinkId, epoch: int, sessions: Iterable[Session]) -> list[Send]:
        """Devices have come. Ignored when it follows an older assignment. Idempotent."""
        if epoch != self._assignment.epoch or link not in self._links:
            return []
        effects: list[Send] = []
        acked: list[int] = []
        for session in sessions:
            ref = SessionRef(link, session.session_id)
            was_seen = bool(self._by_user.get(session.user_id)) or session.user_id in self._leaving
            self._sessions[ref] = session
            self._by_user[session.user_id].add(ref)
            self._leaving.pop(session.user_id, None)
            acked.append(session.session_id)
            if not was_seen and not self.collecting:
                effects += self._tell_watchers(session.user_id)
        return [Send(link, RegisterAck(tuple(acked))), *effects]

    def unregister(self, link: LinkId, session_ids: Iterable[int], now: float) -> list[Send]:
        """Devices have gone. Idempotent."""
        for session_id in session_ids:
            ref = SessionRef(link, session_id)
            self._unwatch(ref)
            self._remove(ref, now)
        return []

    def watch(self, link: LinkId, epoch: int, session_id: int, user_ids: Sequence[UserId]) -> list[Send]:
        """Replace what a session watches here; a snapshot of each person follows."""
        if epoch != self._assignment.epoch or link not in self._links:
            return []
        ref = SessionRef(link, session_id)
        self._unwatch(ref)
        if user_ids:
            self._watching[ref] = tuple(user_ids)
        for user_id in user_ids:
            self._watchers[user_id].add(ref)
        if self.collecting:
            return []
        return [Send(link, Deliver((session_id,), self._state_of(user_id), durable=False)) for user_id in user_ids]

    def deliver(self, user_id: UserId, frame: bytes, *, durable: bool) -> list[Send]:
        """A frame for all devices of a user, once for each gateway that holds some."""
        return _by_link(self._by_user.get(user_id, ()), frame, durable)

    def command_watch(self, user_id: UserId, device_id: DeviceId, user_ids: Sequence[UserId]) -> list[Send]:
        """Tell the gateway of the user's device what the device wants to watch."""
        return [
            Send(ref.link, WatchCommand(ref.session_id, tuple(user_ids)))
            for ref in sorted(self._by_user.get(user_id, ()))
            if self._sessions[ref].device_id == device_id
        ]

    def tick(self, now: float) -> list[Send]:
        """Those whose delay is over are offline."""
        due = [user_id for user_id, deadline in self._leaving.items() if deadline <= now]
        effects: list[Send] = []
        for user_id in due:
            del self._leaving[user_id]
            effects += self._tell_watchers(user_id)
        return effects

    def _remove(self, ref: SessionRef, now: float) -> None:
        session = self._sessions.pop(ref, None)
        if session is None:
            return
        refs = self._by_user[session.user_id]
        refs.discard(ref)
        if not refs:
            del self._by_user[session.user_id]
            self._leaving[session.user_id] = now + self._offline_delay_s
            self._remember_last_seen(session.user_id, now)

    def _remember_last_seen(self, user_id: UserId, now: float) -> None:
        self._last_seen.pop(user_id, None)
        self._last_seen[user_id] = now
        if len(self._last_seen) > LAST_SEEN_LIMIT:
            del self._last_seen[next(iter(self._last_seen))]

    def _unwatch(self, ref: SessionRef) -> None:
        for user_id in self._watching.pop(ref, ()):
            watchers = self._watchers[user_id]
            watchers.discard(ref)
            if not watchers:
                del self._watchers[user_id]

    def _settle(self, link: LinkId) -> list[Send]:
        was_collecting = self.collecting
        self._awaited.discard(link)
        return self._all_snapshots() if was_collecting and not self.collecting else []

    def _all_snapshots(self) -> list[Send]:
        return [send for user_id in sorted(self._watchers) for send in self._tell_watchers(user_id)]

    def _tell_watchers(self, user_id: UserId) -> list[Send]:
        return _by_link(self._watchers.get(user_id, ()), self._state_of(user_id), durable=False)

    def _state_of(self, user_id: UserId) -> PresenceChange:
        if self._by_user.get(user_id) or user_id in self._leaving:
            return PresenceChange(user_id, online=True)
        return PresenceChange(user_id, online=False, last_seen=self._last_seen.get(user_id))


def _by_link(refs: Iterable[SessionRef], content: bytes | PresenceChange, durable: bool) -> list[Send]:
    grouped: dict[LinkId, list[int]] = defaultdict(list)
    for ref in sorted(refs):
        grouped[ref.link].append(ref.session_id)
    return [Send(link, Deliver(tuple(ids), content, durable)) for link, ids in grouped.items()]
