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
    Delivery,
    DeviceId,
    Effect,
    LoadLastSeen,
    Refused,
    Send,
    StateChanged,
    StreamId,
    UserDeleted,
    UserId,
)
from services.presence.core.router import Router
from services.presence.failed_replicas import FailedReplicas
from services.presence.gateway_stream import GatewayStream
from services.presence.ports import StateRow, StateStore
from services.presence.state_writer import StateWriter
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.observability.failures import describe

log = structlog.get_logger()

TICK_S = 0.5
# Users of one look-up. Raising it makes longer queries; lowering it makes more of them after a rebalance.
LAST_SEEN_BATCH = 1_000
RESTORE_RETRY_S = 1.0


class TooManySessions(Exception):
    """A gateway registers or watches with more sessions than one gateway may hold."""


class GatewayReplaced(Exception):
    """The same gateway process has attached anew; its older stream ends."""


@dataclass(frozen=True)
class GatewayView:
    """One attached gateway, as operators see it."""

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
    """One replica's routing: what the router decides, `apply` carries out.

    All methods run on the event loop and none waits, but `on_assigned` and the `run_…`.
    """

    def __init__(
        self,
        router: Router,
        writer: StateWriter,
        store: StateStore,
        failed_replicas: FailedReplicas,
        clock: Clock,
        collect_s: float,
    ) -> None:
        self.router = router
        self._failed_replicas = failed_replicas
        self._writer = writer
        self._store = store
        self._clock = clock
        self._collect_s = collect_s
        self._streams: dict[StreamId, GatewayStream] = {}
        self._next_stream = count(1)
        self._collected = asyncio.Event()
        self._last_seen_wanted: dict[UserId, None] = {}
        self._load_asked = asyncio.Event()
        self._restore_asked = asyncio.Event()

    def now(self) -> float:
        """The router's time, monotonic seconds."""
        return self._clock.monotonic()

    def apply(self, effects: Iterable[Effect]) -> None:
        """Carry out what the router decided."""
        for effect in effects:
            match effect:
                case Send():
                    self._send(effect)
                case StateChanged(user_id, partition, state, call):
                    metrics.CHANGES.labels(state.status.name.lower()).inc()
                    self._writer.add(StateRow(user_id, self._unix(), partition, state, call))
                case LoadLastSeen(user_ids):
                    self._last_seen_wanted.update(dict.fromkeys(user_ids))
                    self._load_asked.set()
                case UserDeleted(user_id):
                    self._writer.add(StateRow(user_id, self._unix()))
                case Refused(stream, reason, refused):
                    metrics.REFUSED.labels(reason.value).inc(refused)
                    log.warning("entries_refused", stream=stream, reason=reason.value, count=refused)
                case CutOff(stream):
                    metrics.CUT_OFF.inc()
                    self._streams[stream].fail(TooManySessions("the gateway holds more sessions than one may"))
        if not self.router.collecting:
            self._collected.set()

    def attach(self, stream: GatewayStream) -> StreamId:
        """A gateway has come; the assignment is its first frame. Its older stream, if it is still open, ends."""
        for other in [other for other in self._streams.values() if other.gateway_id == stream.gateway_id]:
            other.fail(GatewayReplaced("the gateway has attached anew"))
        stream_id = StreamId(next(self._next_stream))
        self._streams[stream_id] = stream
        self.apply(self.router.attach(stream_id))
        return stream_id

    def detach(self, stream_id: StreamId) -> None:
        """A gateway has gone."""
        self._streams.pop(stream_id, None)
        self.apply(self.router.detach(stream_id, self.now()))

    def take(self, delivery: Delivery) -> None:
        """What one user's devices, and this replica, are told."""
        router, user_id = self.router, delivery.user_id
        if delivery.frame:
            self.deliver(user_id, delivery.frame, delivery.trace, delivery.device_id)
        if delivery.relations_changed:
            self.apply(router.relations_changed(user_id))
        if delivery.call:
            self.apply(router.note_call(user_id, delivery.call, self.now()))
        if delivery.user_deleted:
            self.apply(router.delete_user(user_id))

    def deliver(self, user_id: UserId, frame: bytes, trace: str = "", device_id: DeviceId | None = None) -> None:
        """A durable frame for a user's devices, or for one of them. `trace`: the `traceparent` for the gateways, if its
        trace is kept."""
        effects = self.router.deliver(user_id, frame, durable=True, trace=trace, device_id=device_id)
        (metrics.ROUTED if effects else metrics.NO_DEVICE).inc()
        self.apply(effects)

    def report_failed(self, stream_id: StreamId, member_id: str) -> None:
        """A gateway says that another replica is dead."""
        if member_id != self.router.assignment.member_id:
            self._failed_replicas.report(stream_id, member_id, self._streams.keys())

    async def on_assigned(self, partitions: Collection[int], partition_count: int, member_id: str = "") -> None:
        """Own these partitions: collect the gateways' registrations first; records wait meanwhile."""
        began = self._clock.monotonic()
        self._collected.clear()
        self.apply(self.router.assign(partitions, partition_count, member_id))
        try:
            async with asyncio.timeout(self._collect_s):
                await self._collected.wait()
        except TimeoutError:
            log.warning("registrations_missing", waited_s=self._collect_s)
            self.apply(self.router.stop_collecting())
        metrics.COLLECTING.set(self._clock.monotonic() - began)
        self._restore_asked.set()

    async def on_revoked(self) -> None:
        """Own nothing."""
        self.apply(self.router.assign((), 0, self.router.assignment.member_id))

    async def run_timers(self) -> None:
        """Report the users who went offline, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self.apply(self.router.tick(self.now(), self._unix()))

    async def run_last_seen_loads(self) -> None:
        """Look up when people were last seen, all that are asked for at a time, for ever."""
        while True:
            await self._load_asked.wait()
            self._load_asked.clear()
            while self._last_seen_wanted:
                batch = list(self._last_seen_wanted)[:LAST_SEEN_BATCH]
                for user_id in batch:
                    del self._last_seen_wanted[user_id]
                await self._load_last_seen(batch)

    async def run_restores(self) -> None:
        """After each assignment, take up what the owner before has left in the store, for ever."""
        while True:
            await self._restore_asked.wait()
            self._restore_asked.clear()
            assignment = self.router.assignment
            if not assignment.partitions:
                continue
            try:
                stored = await self._store.load_present(assignment.partitions)
            except StoreUnavailable as error:
                log.warning("states_not_restored", error=describe(error), retry_s=RESTORE_RETRY_S)
                await asyncio.sleep(RESTORE_RETRY_S)
                self._restore_asked.set()
            else:
                self.apply(self.router.restore(assignment.epoch, stored, self.now()))

    def describe(self) -> ReplicaView:
        """The replica, as operators see it."""
        assignment = self.router.assignment
        return ReplicaView(
            assignment.epoch,
            assignment.partitions,
            assignment.partition_count,
            self.router.collecting,
            tuple(
                GatewayView(stream.gateway_id, *self.router.count_held_by(stream_id), stream.queued, stream.attach_time)
                for stream_id, stream in self._streams.items()
            ),
            self.router.user_count,
            len(self._writer.unsaved),
            len(self._writer.unpublished),
        )

    async def _load_last_seen(self, user_ids: Sequence[UserId]) -> None:
        try:
            last_seen = await self._store.load_last_seen(user_ids)
        except StoreUnavailable as error:
            log.warning("last_seen_unknown", users=len(user_ids), error=describe(error))
            last_seen = {}
        metrics.LAST_SEEN_LOADED.inc(len(user_ids))
        self.apply(self.router.last_seen_loaded(user_ids, last_seen))

    def _unix(self) -> float:
        return self._clock.now().timestamp()

    def _send(self, effect: Send) -> None:
        stream = self._streams.get(effect.stream)
        _counter(effect).inc()
        if stream is not None and not stream.push(effect.frame):
            metrics.OVERFLOWS.inc()


def _counter(effect: Send) -> Counter:
    if isinstance(effect.frame, Deliver):
        return metrics.DURABLE if effect.frame.durable else metrics.EPHEMERAL
    return metrics.CONTROL
