"""Carries out the router's effects: queues for the attached gateways, timers, the wait for registrations, the store."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import structlog
from prometheus_client import Counter

from services.presence import metrics
from services.presence.core.model import (
    CutOff,
    Deliver,
    DeviceId,
    Effect,
    LoadLastSeen,
    Refused,
    Send,
    Session,
    StateChanged,
    StreamId,
    UserDeleted,
    UserId,
)
from services.presence.core.router import Router
from services.presence.core.states import CallActivity
from services.presence.failed_replicas import FailedReplicas
from services.presence.ports import Link, StateRow, StateStore
from services.presence.state_writer import StateWriter
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.observability.failures import describe

log = structlog.get_logger()

TICK_S = 0.5
# Users a look-up. Higher: longer queries. Lower: more of them after a rebalance.
RECALL_BATCH = 1_000
RESTORE_RETRY_S = 1.0


class TooManySessions(Exception):
    """A gateway registers or watches with more sessions than one gateway may hold."""


class GatewayReplaced(Exception):
    """The same gateway process has attached anew; its older stream ends."""


@dataclass(frozen=True)
class GatewayView:
    """One attached gateway, for people who run it."""

    gateway_id: str
    sessions: int
    watching: int
    queued: int
    attach_time: float


@dataclass(frozen=True)
class ReplicaView:
    """What this replica owns and holds."""

    epoch: int
    partitions: frozenset[int]
    partition_count: int
    collecting: bool
    gateways: tuple[GatewayView, ...]
    users: int
    unsaved: int
    unpublished: int


class Presence:
    """One replica's routing. All methods run on the event loop and none waits, but `on_assigned` and the `run_…`."""

    def __init__(
        self,
        router: Router,
        keeper: StateWriter,
        store: StateStore,
        expulsions: FailedReplicas,
        clock: Clock,
        collect_s: float,
    ) -> None:
        self._router = router
        self._expulsions = expulsions
        self._keeper = keeper
        self._store = store
        self._clock = clock
        self._collect_s = collect_s
        self._links: dict[StreamId, Link] = {}
        self._next_link = count(1)
        self._collected = asyncio.Event()
        self._wanted: dict[UserId, None] = {}
        self._recall_asked = asyncio.Event()
        self._restore_asked = asyncio.Event()

    def attach(self, link: Link) -> StreamId:
        """A gateway has come; the assignment is its first frame. Its older stream, if it is still open, ends."""
        for other in [other for other in self._links.values() if other.gateway_id == link.gateway_id]:
            other.fail(GatewayReplaced("the gateway has attached anew"))
        link_id = StreamId(next(self._next_link))
        self._links[link_id] = link
        self._carry_out(self._router.attach(link_id))
        return link_id

    def detach(self, link_id: StreamId) -> None:
        """A gateway has gone."""
        self._links.pop(link_id, None)
        self._carry_out(self._router.detach(link_id, self._now()))

    def register(self, link_id: StreamId, epoch: int, sessions: Sequence[Session]) -> None:
        """Devices have come."""
        self._carry_out(self._router.register(link_id, epoch, sessions, self._now()))

    def unregister(self, link_id: StreamId, session_ids: Iterable[int]) -> None:
        """Devices have gone."""
        self._carry_out(self._router.unregister(link_id, session_ids, self._now()))

    def registered(self, link_id: StreamId, epoch: int) -> None:
        """A gateway has no more to register."""
        self._carry_out(self._router.registered(link_id, epoch))

    def detached(self, link_id: StreamId, session_ids: Iterable[int], detached: bool) -> None:
        """Devices' streams broke, or are back."""
        self._carry_out(self._router.detached(link_id, session_ids, detached, self._now()))

    def watch(self, link_id: StreamId, epoch: int, session_id: int, user_ids: Sequence[UserId]) -> None:
        """A session watches these people."""
        self._carry_out(self._router.watch(link_id, epoch, session_id, user_ids))

    def route(self, link_id: StreamId, user_id: UserId, frame: bytes) -> None:
        """An ephemeral frame for a user's devices."""
        self._carry_out(self._router.route(link_id, user_id, frame))

    def command_watch(self, user_id: UserId, device_id: DeviceId, user_ids: Sequence[UserId]) -> None:
        """A watch list on its way to the gateway that holds the device."""
        self._carry_out(self._router.command_watch(user_id, device_id, user_ids))

    def set_status(self, user_id: UserId, device_id: DeviceId, away: bool) -> None:
        """A device says whether its user is away from it."""
        self._carry_out(self._router.set_status(user_id, device_id, away, self._now()))

    def deliver(self, user_id: UserId, frame: bytes, trace: str = "") -> None:
        """A durable frame for a user's devices. `trace`: the `traceparent` for the gateways, if its trace is kept."""
        effects = self._router.deliver(user_id, frame, durable=True, trace=trace)
        (metrics.ROUTED if effects else metrics.NO_DEVICE).inc()
        self._carry_out(effects)

    def relations_changed(self, user_id: UserId) -> None:
        """Whom the user may see, or who may see the user, changed."""
        self._carry_out(self._router.relations_changed(user_id))

    def note_call(self, user_id: UserId, activity: CallActivity) -> None:
        """A call of the user changed."""
        self._carry_out(self._router.note_call(user_id, activity, self._now()))

    def forget(self, user_id: UserId) -> None:
        """The account is gone."""
        self._carry_out(self._router.forget(user_id))

    def gone(self, link_id: StreamId, member_id: str) -> None:
        """A gateway says that another replica is dead."""
        if member_id != self._router.assignment.member_id:
            self._expulsions.say(link_id, member_id, self._links.keys())

    async def on_assigned(self, partitions: Collection[int], partition_count: int, member_id: str = "") -> None:
        """Own these partitions: collect the gateways' registrations first; records wait meanwhile."""
        began = self._clock.monotonic()
        self._collected.clear()
        self._carry_out(self._router.assign(partitions, partition_count, member_id))
        try:
            async with asyncio.timeout(self._collect_s):
                await self._collected.wait()
        except TimeoutError:
            log.warning("registrations_missing", waited_s=self._collect_s)
            self._carry_out(self._router.give_up_collecting())
        metrics.COLLECTING.set(self._clock.monotonic() - began)
        self._restore_asked.set()

    async def on_revoked(self) -> None:
        """Own nothing."""
        self._carry_out(self._router.assign((), 0, self._router.assignment.member_id))

    async def run_timers(self) -> None:
        """Tell of those who went offline, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self._carry_out(self._router.tick(self._now(), self._unix()))

    async def run_recalls(self) -> None:
        """Look up when people were last seen, all that are asked for at a time, for ever."""
        while True:
            await self._recall_asked.wait()
            self._recall_asked.clear()
            while self._wanted:
                batch = list(self._wanted)[:RECALL_BATCH]
                for user_id in batch:
                    del self._wanted[user_id]
                await self._recall(batch)

    async def run_restores(self) -> None:
        """After each assignment, take up what the owner before has left in the store, for ever."""
        while True:
            await self._restore_asked.wait()
            self._restore_asked.clear()
            assignment = self._router.assignment
            if not assignment.partitions:
                continue
            try:
                stored = await self._store.present(assignment.partitions)
            except StoreUnavailable as error:
                log.warning("states_not_restored", error=describe(error), retry_s=RESTORE_RETRY_S)
                await asyncio.sleep(RESTORE_RETRY_S)
                self._restore_asked.set()
            else:
                self._carry_out(self._router.restore(assignment.epoch, stored, self._now()))

    def describe(self) -> ReplicaView:
        """For people who run it."""
        assignment = self._router.assignment
        return ReplicaView(
            assignment.epoch,
            assignment.partitions,
            assignment.partition_count,
            self._router.collecting,
            tuple(
                GatewayView(link.gateway_id, *self._router.held_by(link_id), link.queued, link.attach_time)
                for link_id, link in self._links.items()
            ),
            self._router.user_count,
            len(self._keeper.unsaved),
            len(self._keeper.unpublished),
        )

    async def _recall(self, user_ids: Sequence[UserId]) -> None:
        try:
            last_seen = await self._store.last_seen(user_ids)
        except StoreUnavailable as error:
            log.warning("last_seen_unknown", users=len(user_ids), error=describe(error))
            last_seen = {}
        metrics.RECALLS.inc(len(user_ids))
        self._carry_out(self._router.recalled(user_ids, last_seen))

    def _now(self) -> float:
        return self._clock.monotonic()

    def _unix(self) -> float:
        return self._clock.now().timestamp()

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._send(effect)
                case StateChanged(user_id, partition, state, call):
                    metrics.CHANGES.labels(state.standing.name.lower()).inc()
                    self._keeper.note(StateRow(user_id, self._unix(), partition, state, call))
                case LoadLastSeen(user_ids):
                    self._wanted.update(dict.fromkeys(user_ids))
                    self._recall_asked.set()
                case UserDeleted(user_id):
                    self._keeper.note(StateRow(user_id, self._unix()))
                case Refused(link, reason, refused):
                    metrics.REFUSED.labels(reason.value).inc(refused)
                    log.warning("entries_refused", link=link, reason=reason.value, count=refused)
                case CutOff(link):
                    metrics.CUT_OFF.inc()
                    self._links[link].fail(TooManySessions("the gateway holds more sessions than one may"))
        if not self._router.collecting:
            self._collected.set()

    def _send(self, effect: Send) -> None:
        link = self._links.get(effect.link)
        _counter(effect).inc()
        if link is not None and not link.push(effect.frame):
            metrics.OVERFLOWS.inc()


def _counter(effect: Send) -> Counter:
    if isinstance(effect.frame, Deliver):
        return metrics.DURABLE if effect.frame.durable else metrics.EPHEMERAL
    return metrics.CONTROL
