"""All device streams of this process: opened, resumed, taken over, watched over by the clock, and ended."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.gateway import device_frames, metrics
from services.gateway.core.admission import spread_drain
from services.gateway.core.errors import (
    DeviceLimit,
    Draining,
    GatewayError,
    Replaced,
    RouterUnavailable,
    SlowConsumer,
)
from services.gateway.core.model import (
    BecameReady,
    Close,
    CloseReason,
    DeviceId,
    Effect,
    RouteMoved,
    SendToPresence,
    UserId,
)
from services.gateway.core.queue import QueueLimits
from services.gateway.core.registry import Registry
from services.gateway.core.resume import NotResumable, Outcome, ResumeTokens
from services.gateway.ports import Uplinks
from services.gateway.stream import DeviceStream, Writer
from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.errors import AccountDeleted, Unauthenticated

TICK_S = 1.0
# A write that waits so many ticks for the device to read means a dead or stuck device. It counts ticks and not seconds,
# because a process that gets no CPU is late with both: it would take all its devices for stuck, end them, and be the
# busier for their coming back. Raising it finds dead devices later; lowering it cuts off phones in a tunnel.
STALLED_TICKS = 20
# What was written longer ago has arrived: keep-alive or STALLED_TICKS would have found the stream dead.
ARRIVED_S = 40.0
# The time from the end of a stream to cutting off a device that does not read it. Raising it holds memory longer;
# lowering it leaves slow devices without the reason.
LINGER_S = 5.0

_CLOSING: dict[CloseReason, Callable[[], GatewayError]] = {
    CloseReason.REPLACED: lambda: Replaced("the device opened a newer stream"),
    CloseReason.DEVICE_LIMIT: lambda: DeviceLimit("the user has opened too many devices, and this is the oldest"),
}
# After these the device may go on where its stream broke: it is the connection that failed, or the device.
_RESUMABLE = (asyncio.CancelledError, SlowConsumer, Unauthenticated)


@dataclass(frozen=True)
class StreamPolicy:
    """How the gateway behaves; config.py says what each costs."""

    heartbeat_s: int
    queue: QueueLimits
    max_devices: int
    route_wait_s: float
    resume_window_s: float
    drain_spread_s: float
    drain_within_s: float


class Streams:
    """The streams by session. All methods run on the event loop and none waits, but `run_ticks`."""

    def __init__(
        self,
        registry: Registry,
        uplinks: Uplinks,
        clock: Clock,
        tokens: ResumeTokens,
        chance: Callable[[], float],
        policy: StreamPolicy,
    ) -> None:
        self.by_session: dict[int, DeviceStream] = {}
        self._registry = registry
        self._uplinks = uplinks
        self._clock = clock
        self._tokens = tokens
        self._chance = chance
        self._policy = policy
        # Sessions whose stream broke, and when they are given up; the first in front.
        self._detached: OrderedDict[int, float] = OrderedDict()
        # RPCs that must end by then, whether their device reads or not.
        self._closing: dict[asyncio.Task[None], float] = {}
        self._drain: asyncio.Task[None] | None = None

    @property
    def device_count(self) -> int:
        """Streams open."""
        return len(self.by_session) - len(self._detached)

    @property
    def detached_count(self) -> int:
        """Broken streams that may be resumed."""
        return len(self._detached)

    @property
    def is_full(self) -> bool:
        """Whether the process takes no more streams."""
        return self.device_count >= self._policy.max_devices

    @property
    def draining(self) -> bool:
        """Whether the process is about to stop."""
        return self._drain is not None

    def resume(self, user_id: UserId, device_id: DeviceId, token: str, position: int) -> DeviceStream | None:
        """Go on where the device's stream broke; None when that cannot be."""
        try:
            session_id = self._tokens.read(token, user_id, device_id)
            stream = self._find_resumable(session_id, user_id, device_id, position)
        except NotResumable as refusal:
            metrics.RESUMES.labels(refusal.outcome.value).inc()
            return None
        metrics.RESUMES.labels(Outcome.RESUMED.value).inc()
        return stream

    def _find_resumable(self, session_id: int, user_id: UserId, device_id: DeviceId, position: int) -> DeviceStream:
        stream = self.by_session.get(session_id)
        session = stream.session if stream else None
        if stream is None or session is None or (session.user_id, session.device_id) != (user_id, device_id):
            raise NotResumable(Outcome.EXPIRED)
        is_over = stream.cut_off or isinstance(stream.ending, Replaced | DeviceLimit | Draining)
        if not self._registry.is_ready(session_id) or is_over:
            raise NotResumable(Outcome.EXPIRED)
        lost = stream.missed
        if not stream.queue.resume(position):
            raise NotResumable(Outcome.GAP)
        stream.missed = stream.ending = None
        stream.push_control(self._ready_frame(stream, resumed=True))
        if lost is not None:
            metrics.RESYNCS.labels("missed").inc()
            stream.push(device_frames.missed(lost))
        self._detached.pop(session_id, None)
        self.apply(self._registry.resume(session_id))
        return stream

    def open(self, user_id: UserId, device_id: DeviceId) -> DeviceStream:
        """A fresh stream; Ready follows once it is routed."""
        session, effects = self._registry.open(user_id, device_id)
        stream = DeviceStream(session, self._policy.queue, 0.0, self._clock.monotonic)
        self.by_session[session.session_id] = stream
        self.apply(effects)
        return stream

    def account_changed(self, user_id: str) -> None:
        """A user's tokens were revoked, or the account was deleted: streams whose token opens none any more end now."""
        for session in self._registry.sessions_of(UserId(user_id)):
            stream = self.by_session[session.session_id]
            try:
                stream.check()
            except (Unauthenticated, AccountDeleted) as error:
                self._cut(stream, error)

    def _cut(self, stream: DeviceStream, error: Exception) -> None:
        stream.cut(error)
        if stream.writer is None:
            self._give_up(stream.session.session_id)
        else:
            # One that does not read is not told why, and gets nothing more either.
            self._close_by(stream.writer, self._clock.monotonic() + LINGER_S)

    def take_over(self, stream: DeviceStream, writer: Writer) -> None:
        """An RPC writes this stream from now on, in place of an older one."""
        older, stream.writer = stream.writer, writer
        stream.blocked_since = 0.0
        if older is not None:
            # Its connection is dead, or the device has given it up.
            older.cancel()
            self._close_by(older, self._clock.monotonic() + LINGER_S)
        self._count()

    def leave(self, stream: DeviceStream, writer: Writer, reason: BaseException) -> None:
        """An RPC has ended, for this reason; CancelledError stands for a connection that broke."""
        name = "client" if isinstance(reason, asyncio.CancelledError) else type(reason).__name__
        metrics.CLOSED.labels(name).inc()
        if isinstance(reason, SlowConsumer):
            metrics.RESYNCS.labels("slow_consumer").inc()
        if not isinstance(reason, asyncio.CancelledError):
            # The reason is sent behind what was written, so a device that does not read would keep the RPC open.
            self._close_by(writer, self._clock.monotonic() + LINGER_S)
        if stream.writer is not writer:
            return
        stream.writer = None
        session_id = stream.session.session_id
        metrics.DROPPED.inc(stream.queue.dropped_ephemeral)
        stream.queue.dropped_ephemeral = 0
        if not stream.cut_off and self._may_resume(session_id, reason):
            stream.queue.detach()
            stream.ending = None
            self._detached[session_id] = self._clock.monotonic() + self._policy.resume_window_s
            if len(self._detached) > self._policy.max_devices:
                self._give_up(next(iter(self._detached)))
            self.apply(self._registry.detach(session_id))
        else:
            self._give_up(session_id)
        self._count()

    def _may_resume(self, session_id: int, reason: BaseException) -> bool:
        if not self._policy.resume_window_s or self._drain is not None or session_id not in self.by_session:
            return False
        return isinstance(reason, _RESUMABLE) and self._registry.is_ready(session_id)

    def _give_up(self, session_id: int) -> None:
        self._detached.pop(session_id, None)
        self.by_session.pop(session_id, None)
        self.apply(self._registry.close(session_id))
        self._count()

    def _close_by(self, task: Writer, deadline: float) -> None:
        if task is not None:
            self._closing.setdefault(task, deadline)

    async def run_ticks(self) -> None:
        """Heartbeats, and the end of streams that are expired, stalled, not routed or not resumed, for ever."""
        tick = 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            self.tick(tick)

    def tick(self, number: int) -> None:
        """What is due in this second. The heartbeats of the devices are spread over the seconds between them."""
        now = self._clock.monotonic()
        for session_id in [id_ for id_, until in self._detached.items() if until <= now]:
            self._give_up(session_id)
        for session_id, stream in self.by_session.items():
            if stream.writer is not None:
                self._check(session_id, stream, now, beat=(session_id + number) % self._policy.heartbeat_s == 0)
        for task in [task for task, until in self._closing.items() if until <= now or task.done()]:
            del self._closing[task]
            task.cancel()

    def drain(self) -> None:
        """End all streams, spread over the configured time, so that the devices go elsewhere one after the other."""
        if self._drain is None:
            self._drain = tasks.detached(self._run_drain(), name="drain", why="ends when all devices have left")

    def apply(self, effects: Iterable[Effect]) -> None:
        """What the registry decided."""
        for effect in effects:
            match effect:
                case SendToPresence(replica, frame):
                    self._uplinks.push(replica, frame)
                case BecameReady(session_id):
                    stream = self.by_session[session_id]
                    stream.push_control(self._ready_frame(stream, resumed=False))
                case RouteMoved(session_id):
                    metrics.RESYNCS.labels("route_moved").inc()
                    self.by_session[session_id].push(device_frames.ROUTE_MOVED)
                case Close(session_id, reason):
                    self._end_session(session_id, _CLOSING[reason]())

    def _end_session(self, session_id: int, error: GatewayError) -> None:
        stream = self.by_session[session_id]
        if stream.writer is None:
            self._give_up(session_id)
        else:
            stream.end(error)

    def _check(self, session_id: int, stream: DeviceStream, now: float, *, beat: bool) -> None:
        if stream.expires_at <= now:
            stream.end(Unauthenticated("TOKEN_EXPIRED", "the token has expired"))
        is_ready = self._registry.is_ready(session_id)
        stream.waited_ticks += 1
        if not is_ready and stream.waited_ticks > self._policy.route_wait_s / TICK_S:
            stream.end(RouterUnavailable("no route to this device came in time"))
        if stream.blocked_since and stream.waited_ticks > STALLED_TICKS:
            stream.end(SlowConsumer("the device does not read"))
        if stream.ending is not None and stream.blocked_since and stream.writer not in self._closing:
            self._close_by(stream.writer, max(now, stream.blocked_since + LINGER_S))
        if beat and is_ready:
            stream.push_latest("heartbeat", device_frames.HEARTBEAT)
            stream.queue.forget_written(now - ARRIVED_S)

    def _ready_frame(self, stream: DeviceStream, *, resumed: bool) -> bytes:
        session = stream.session
        token = self._tokens.issue(session.session_id, session.user_id, session.device_id)
        return device_frames.ready(self._policy.heartbeat_s, token, resumed=resumed)

    def _count(self) -> None:
        metrics.DEVICES.set(self.device_count)
        metrics.DETACHED.set(len(self._detached))

    async def _run_drain(self) -> None:
        policy = self._policy
        for session_id in list(self._detached):
            self._give_up(session_id)
        plan = spread_drain(
            list(self.by_session), policy.drain_spread_s, policy.drain_within_s, iter(self._chance, None)
        )
        began = self._clock.monotonic()
        for after_s, session_id, step in plan:
            wait_s = after_s - (self._clock.monotonic() - began)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            stream = self.by_session.get(session_id)
            if stream is not None:
                stream.end(Draining("this gateway is stopping", step.retry_delay_s + 0.1))
