"""What operators see of the gateway. It only reads."""

from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from services.gateway.core.checks import check_limit, check_user_id
from services.gateway.core.registry import Registry
from services.gateway.stream import DeviceStream
from services.gateway.streams import Streams
from services.runtime.clock import Clock

DEFAULT_LIMIT = 20


@dataclass(frozen=True)
class StreamView:
    """One device's stream; see gateway.v1.DeviceStream. Lengths in seconds."""

    user_id: str
    device_id: str
    queued_frames: int
    queued_bytes: int
    oldest_unsent_s: float
    blocked_s: float
    dropped: int
    detached: bool


class Admin:
    """The use-cases of GatewayAdminService."""

    def __init__(self, gateway_id: str, registry: Registry, streams: Streams, clock: Clock) -> None:
        self._gateway_id = gateway_id
        self._registry = registry
        self._streams = streams
        self._clock = clock

    def describe(self) -> dict[str, Any]:
        """The fields of DescribeGatewayResponse."""
        streams = self._streams
        return {
            "gateway_id": self._gateway_id,
            "devices": streams.device_count,
            "waiting": sum(not self._registry.is_ready(session_id) for session_id in streams.by_session),
            "detached": streams.detached_count,
            "users": self._registry.user_count,
            "replicas": self._registry.replicas,
            "draining": streams.draining,
        }

    def slowest(self, limit: int) -> list[StreamView]:
        """The devices with the longest queues. Errors: InvalidField."""
        count = check_limit(limit, DEFAULT_LIMIT)
        now = self._clock.monotonic()
        views = (self._view(stream, now) for stream in self._streams.by_session.values())
        return nlargest(count, views, key=lambda view: (view.queued_frames, view.blocked_s, view.dropped))

    def devices_of(self, user_id: str) -> list[StreamView]:
        """A user's devices here. Errors: InvalidField."""
        sessions = self._registry.sessions_of(check_user_id(user_id, "user_id"))
        now = self._clock.monotonic()
        return [self._view(self._streams.by_session[session.session_id], now) for session in sessions]

    def _view(self, stream: DeviceStream, now: float) -> StreamView:
        queue = stream.queue
        return StreamView(
            user_id=stream.session.user_id,
            device_id=stream.session.device_id,
            queued_frames=len(queue),
            queued_bytes=queue.bytes_waiting,
            oldest_unsent_s=now - queue.oldest_at if queue.oldest_at is not None else 0.0,
            blocked_s=now - stream.blocked_since if stream.blocked_since else 0.0,
            dropped=queue.dropped_ephemeral,
            detached=queue.detached,
        )
