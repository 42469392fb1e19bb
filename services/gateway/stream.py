"""One device's stream: its queue, the RPC that writes it, and why it ends. There is one a device, so it is small."""

import asyncio
from collections.abc import Awaitable, Callable

from services.gateway import device_frames
from services.gateway.core.errors import Replaced, SlowConsumer
from services.gateway.core.model import Session, UserId
from services.gateway.core.queue import DeviceQueue, QueueLimits
from services.runtime.observability import tracing

Write = Callable[[bytes], Awaitable[None]]
Now = Callable[[], float]
Check = Callable[[], None]
# The task of an RPC that writes.
Writer = asyncio.Task[None] | None


def _nothing_against() -> None:
    """The check of a stream whose account nobody looks at."""


class DeviceStream:
    """Lives as long as the device's session, which may outlive the connection that writes it. `now` is monotonic."""

    __slots__ = (
        "_now",
        "_spans",
        "_waiter",
        "blocked_since",
        "check",
        "cut_off",
        "ending",
        "expires_at",
        "missed",
        "queue",
        "session",
        "waited_ticks",
        "wanted_watch_list",
        "writer",
    )

    def __init__(self, session: Session, limits: QueueLimits, expires_at: float, now: Now) -> None:
        self.session = session
        self.queue = DeviceQueue(limits)
        # Of the token, in monotonic seconds.
        self.expires_at = expires_at
        # The people whom the device asked to watch, allowed or not.
        self.wanted_watch_list: tuple[UserId, ...] = ()
        # The conversations of durable frames that were lost; empty when they may be of any.
        self.missed: frozenset[str] | None = None
        # Why the stream has to end, once what is queued is written; or, `cut_off`, at once.
        self.ending: Exception | None = None
        self.cut_off = False
        # Whether its token still opens a stream; raises what ends it.
        self.check: Check = _nothing_against
        # The RPC that writes now; None while the device is away.
        self.writer: Writer = None
        # Since when a write waits for the device to read; 0 while none does.
        self.blocked_since = 0.0
        # Ticks that the stream has waited, for its route or for a write that is under way.
        self.waited_ticks = 0
        self._waiter: asyncio.Future[None] | None = None
        # Of durable frames that wait, by position, where their traces are kept.
        self._spans: dict[int, tracing.Span] | None = None
        self._now = now

    def push(self, frame: bytes, trace: str = "") -> None:
        """Queue a durable frame. When there is no room for it, the stream ends as SlowConsumer, or what was lost is
        remembered until the device is back. `trace`: its `traceparent`, which a span continues until it is written."""
        lost = self.queue.push(frame, self._now())
        if trace:
            self._begin_span(trace)
        if lost:
            self._end_spans(range(self.queue.position - len(lost) + 1, self.queue.position + 1), "lost")
            named = device_frames.conversations_of(lost)
            self.missed = named if self.missed is None else self._joined(named)
            if not self.queue.detached:
                self.end(SlowConsumer("the device read too slowly"))
        self._wake()

    def push_latest(self, key: str, frame: bytes) -> None:
        """Queue an ephemeral frame."""
        self.queue.push_latest(key, frame)
        self._wake()

    def push_control(self, frame: bytes) -> None:
        """Queue a frame about the stream itself, ahead of all others."""
        self.queue.push_control(frame)
        self._wake()

    def end(self, reason: Exception) -> None:
        """End the stream with this error, after what is queued. The first reason stands."""
        self.ending = self.ending or reason
        self._wake()

    def cut(self, reason: Exception) -> None:
        """End the stream with this error at once: the device may read nothing more, not even what waits."""
        self.ending, self.cut_off = reason, True
        self._wake()

    async def write_out(self, write: Write) -> None:
        """Write what comes, until the stream must end; then its reason is raised. Errors: Replaced, when another
        connection of the device has taken over."""
        me = asyncio.current_task()
        while True:
            while not self.cut_off and (frame := self.queue.pop()) is not None:
                await self._write(write, frame)
                if self.writer is not me:
                    raise Replaced("the device opened a newer stream")
            if self.ending is not None:
                if isinstance(self.ending, SlowConsumer):
                    await self._write(write, device_frames.slow_consumer(self.missed or frozenset()))
                raise self.ending
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            await waiter

    async def _write(self, write: Write, frame: bytes) -> None:
        self.blocked_since, self.waited_ticks = self._now(), 0
        await write(frame)
        self.blocked_since = 0.0
        if self._spans:
            self._end_spans(range(self.queue.unwritten_from))

    def _begin_span(self, trace: str) -> None:
        span = tracing.begin("deliver", tracing.Kind.CONSUMER, trace)
        if span:
            self._spans = self._spans or {}
            self._spans[self.queue.position] = span

    def _end_spans(self, positions: range, failure: str = "") -> None:
        ended = {position: span for position, span in (self._spans or {}).items() if position in positions}
        for span in ended.values():
            tracing.end(span, failure)
        self._spans = {
            position: span for position, span in (self._spans or {}).items() if position not in ended
        } or None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _joined(self, named: frozenset[str]) -> frozenset[str]:
        if not named or not self.missed or len(joined := self.missed | named) > device_frames.MAX_NAMED:
            return frozenset()
        return joined
