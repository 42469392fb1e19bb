"""The device streams and what devices ask for beside them. Carries out the registry's effects."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import structlog

from services.gateway import core, frames, metrics
from services.gateway.core import (
    BecameReady,
    Close,
    DeviceQueue,
    Effect,
    Registry,
    ReplicaId,
    RouteMoved,
    RouterUnavailable,
    SendUp,
    Session,
    UserId,
)
from services.gateway.ports import Membership, Uplinks
from services.runtime.clock import Clock
from services.runtime.errors import Unauthenticated

log = structlog.get_logger()


class Draining(Exception):
    """This process is about to stop; reconnect elsewhere."""


class _Stream:
    """One device's stream: its queue, and why it has to end."""

    def __init__(self, session: Session, queue_limit: int, expires_at: float) -> None:
        self.session = session
        self.queue = DeviceQueue(queue_limit)
        self.expires_at = expires_at
        self.ready = asyncio.Event()
        self._changed = asyncio.Event()
        self._end: Exception | None = None

    def push(self, frame: bytes, *, durable: bool) -> None:
        self.queue.push(frame, durable=durable)
        if self.queue.overflowed:
            self.end(core.SlowConsumer("the device read too slowly"))
        self._changed.set()

    def end(self, reason: Exception) -> None:
        """End the stream with this error, after what is queued. The first reason stands."""
        self._end = self._end or reason
        self.ready.set()
        self._changed.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """What is to be written, until the stream must end; then its reason is raised."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for frame in self.queue.pop_all():
                yield frame
            if isinstance(self._end, core.SlowConsumer):
                yield frames.SLOW_CONSUMER
            if self._end is not None:
                raise self._end


class Gateway:
    """The use-cases of GatewayService and PresenceService."""

    def __init__(
        self,
        registry: Registry,
        uplinks: Uplinks,
        membership: Membership,
        clock: Clock,
        *,
        heartbeat_s: int,
        queue_limit: int,
        max_devices: int,
        route_wait_s: float,
    ) -> None:
        self._registry = registry
        self._uplinks = uplinks
        self._membership = membership
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._queue_limit = queue_limit
        self._max_devices = max_devices
        self._route_wait_s = route_wait_s
        self._streams: dict[int, _Stream] = {}

    async def subscribe(self, user_id: str, device_id: str, expires_at: float) -> AsyncIterator[bytes]:
        """The frames of a device's stream, Ready first.

        Errors: InvalidField, TooManyDevices, RouterUnavailable, Replaced, SlowConsumer, Draining, Unauthenticated
        (when the token expires meanwhile).
        """
        device = core.check_device_id(device_id)
        if len(self._streams) >= self._max_devices:
            raise core.TooManyDevices("this gateway takes no more devices")
        session, effects = self._registry.open(UserId(user_id), device)
        stream = self._streams[session.session_id] = _Stream(session, self._queue_limit, expires_at)
        metrics.DEVICES.set(len(self._streams))
        reason = "client"
        try:
            self._carry_out(effects)
            await self._await_route(stream)
            async for frame in stream.frames():
                yield frame
        except Exception as error:
            reason = type(error).__name__
            raise
        finally:
            metrics.CLOSED.labels(reason).inc()
            metrics.DROPPED.inc(stream.queue.dropped_ephemeral)
            del self._streams[session.session_id]
            metrics.DEVICES.set(len(self._streams))
            self._carry_out(self._registry.close(session.session_id))

    async def set_typing(self, user_id: str, conversation_id: str, is_typing: bool) -> None:
        """Tell those who may learn of it. Errors: ConversationNotFound, RouterUnavailable, MembershipUnavailable."""
        members = await self._membership.audience(conversation_id, UserId(user_id))
        if user_id not in members:
            raise core.ConversationNotFound("no such conversation")
        frame = frames.typing(conversation_id, user_id, is_typing)
        for member in members:
            if member != user_id:
                self._carry_out(self._registry.route(member, frame))

    async def watch_presence(self, user_id: str, device_id: str, user_ids: Sequence[str]) -> None:
        """Replace what a device watches. Errors: InvalidField, RouterUnavailable, MembershipUnavailable."""
        device = core.check_device_id(device_id)
        asked = core.check_watch_list(user_ids)
        allowed = await self._membership.contacts_among(UserId(user_id), asked) if asked else ()
        self._carry_out(self._registry.route_watch_list(UserId(user_id), device, allowed))

    def assigned(self, replica: ReplicaId, epoch: int, partitions: Sequence[int], partition_count: int) -> None:
        """A presence replica said what it owns."""
        self._carry_out(self._registry.assigned(replica, epoch, partitions, partition_count))

    def detached(self, replica: ReplicaId) -> None:
        """The stream to a presence replica broke."""
        self._registry.detached(replica)

    def acknowledged(self, session_ids: Iterable[int]) -> None:
        """A presence replica routes these sessions now."""
        self._carry_out(self._registry.acknowledged(session_ids))

    def command_watch(self, session_id: int, user_ids: Sequence[str]) -> None:
        """A watch list that was routed to the device here."""
        self._carry_out(self._registry.watch(session_id, [UserId(user_id) for user_id in user_ids]))

    def deliver(self, session_ids: Iterable[int], frame: bytes, *, durable: bool) -> None:
        """A frame for devices here. Unknown sessions have just left."""
        for session_id in session_ids:
            stream = self._streams.get(session_id)
            if stream:
                stream.push(frame, durable=durable)
                metrics.FRAMES.labels("durable" if durable else "ephemeral").inc()

    def drain(self) -> None:
        """End all streams, so that the devices go elsewhere."""
        for stream in self._streams.values():
            stream.end(Draining("this gateway is stopping"))

    async def run_heartbeats(self) -> None:
        """Heartbeats, and the end of streams whose token has expired, for ever."""
        while True:
            await asyncio.sleep(self._heartbeat_s)
            now = self._clock.now().timestamp()
            for stream in self._streams.values():
                if stream.expires_at <= now:
                    stream.end(Unauthenticated("TOKEN_EXPIRED", "the token has expired"))
                else:
                    stream.push(frames.HEARTBEAT, durable=False)

    async def ready(self) -> bool:
        """Whether devices can be routed."""
        return self._registry.routed

    async def _await_route(self, stream: _Stream) -> None:
        try:
            await asyncio.wait_for(stream.ready.wait(), self._route_wait_s)
        except TimeoutError:
            raise RouterUnavailable("no route to this device came in time") from None

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendUp(replica, frame):
                    self._uplinks.push(replica, frame)
                case BecameReady(session_id):
                    self._tell(session_id, frames.ready(self._heartbeat_s))
                    self._streams[session_id].ready.set()
                case RouteMoved(session_id):
                    metrics.RESYNCS.labels("route_moved").inc()
                    self._tell(session_id, frames.ROUTE_MOVED)
                case Close(session_id):
                    self._streams[session_id].end(core.Replaced("the device opened a newer stream"))

    def _tell(self, session_id: int, frame: bytes) -> None:
        self._streams[session_id].push(frame, durable=True)
