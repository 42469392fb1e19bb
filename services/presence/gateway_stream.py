"""The queue of frames that wait for one gateway."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from services.presence.core.model import GatewayFrame

# Frames taken at a time. Raising it keeps the event loop for longer; lowering it makes more writes.
BATCH = 500


class GatewayTooSlow(Exception):
    """The gateway did not read its frames in time; it is to attach again, and tells its devices to sync."""


class GatewayStream:
    """A bounded queue of frames for one gateway. When it overflows or fails, or the gateway leaves, reading it ends."""

    def __init__(self, size: int, gateway_id: str = "", attach_time: float = 0.0) -> None:
        self.gateway_id = gateway_id
        self.attach_time = attach_time
        self._size = size
        self._frames: deque[GatewayFrame] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._failure: Exception | None = None

    @property
    def queued(self) -> int:
        """Frames that wait."""
        return len(self._frames)

    def push(self, frame: GatewayFrame) -> bool:
        """Queue a frame. False when the queue is full; the stream has then failed, and the gateway comes back anew."""
        if len(self._frames) >= self._size:
            self.fail(GatewayTooSlow("the gateway's queue is full"))
        else:
            self._frames.append(frame)
        self._changed.set()
        return self._failure is None

    def fail(self, reason: Exception) -> None:
        """End the stream with this error, at once. The first reason stands."""
        self._failure = self._failure or reason
        self._changed.set()

    def close(self) -> None:
        """The gateway has left."""
        self._closed = True
        self._changed.set()

    async def batches(self) -> AsyncIterator[list[GatewayFrame]]:
        """What waits, in order, until the stream is closed. Errors: GatewayTooSlow, and what `fail` was given."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._frames and not self._failure:
                yield [self._frames.popleft() for _ in range(min(len(self._frames), BATCH))]
            if self._failure:
                raise self._failure
            if self._closed:
                return
