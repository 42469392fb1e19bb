"""How much one server of the back office may ask of this replica."""

from services.runtime.clock import Clock
from services.runtime.errors import RateLimited
from services.runtime.identity.server_keys import Server
from services.runtime.limits.token_buckets import Rates
from services.runtime.observability import metrics

# A key's calls of so many seconds may come at once. Raising it takes larger bursts; lowering it spreads them.
_BURST_S = 60.0


class ServerLimits:
    """By name: a server has one rate, also while it has two keys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # A unit is a second of a server's own rate, so that one limiter serves servers of any rate.
        self._rates = Rates(per_s=1, burst=_BURST_S)

    def charge(self, server: Server, service: str, method: str) -> None:
        """Count one call. Raises RateLimited, and counts nothing then."""
        delay_s = self._rates.take(server.name, self._clock.monotonic(), 60 / server.calls_per_minute)
        if delay_s:
            metrics.USER_REFUSED.labels(service, method, "server").inc()
            raise RateLimited(f"the key may make {server.calls_per_minute} calls a minute", delay_s)
