"""What one user may ask of this replica: units a second by the table of costs, and calls at once."""

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.runtime.clock import Clock
from services.runtime.config import UserLimitsConfig
from services.runtime.errors import RateLimited
from services.runtime.identity.auth import UserId
from services.runtime.limits.concurrency import TooManyWaiting, Turns
from services.runtime.limits.costs import COSTS, JSON_BYTES_READ_A_UNIT, JSON_BYTES_WRITTEN_A_UNIT, UNKNOWN
from services.runtime.limits.token_buckets import Rates
from services.runtime.observability import metrics

# Where so many wait, the next one would wait for longer than a client does.
_TOO_MANY_WAITING_RETRY_S = 1.0


@dataclass(frozen=True)
class Caller:
    """One call of a user."""

    service: str
    method: str
    user_id: UserId


class UserLimits:
    """One for each server. Callers with a service token are not limited."""

    def __init__(self, config: UserLimitsConfig, clock: Clock) -> None:
        self._clock = clock
        self._rates = Rates(config.units_per_s, config.burst_units)
        self._turns = Turns(config.calls, config.waiting)
        # Every call passes here, also of those that do not wait for a turn: no fewer than are charged for.
        self._looks = Turns(max(1, config.calls // 2), sys.maxsize)

    def charge(self, caller: Caller, request: Any) -> None:
        """Take what the call costs. Raises RateLimited, and takes nothing then."""
        cost = COSTS.get(f"{caller.service}/{caller.method}", UNKNOWN)
        delay_s = self._rates.take(caller.user_id, self._clock.monotonic(), cost.of(request))
        if delay_s:
            raise self._refuse(caller, "rate", delay_s)

    def charge_json(self, caller: Caller, size: int) -> None:
        """Take what it costs to read so many bytes of JSON, before it is done. Raises RateLimited."""
        delay_s = self._rates.take(caller.user_id, self._clock.monotonic(), size / JSON_BYTES_READ_A_UNIT)
        if delay_s:
            raise self._refuse(caller, "rate", delay_s)

    def owe_for_json(self, caller: Caller | None, size: int) -> None:
        """Take what it costs to write an answer of so many bytes of protobuf as JSON: the answer's size was not known
        before, and what was done is done, so that the calls that follow pay."""
        if caller:
            self._rates.owe(caller.user_id, self._clock.monotonic(), size / JSON_BYTES_WRITTEN_A_UNIT)

    def look(self, caller: Caller) -> AbstractAsyncContextManager[None]:
        """Wait until few enough calls of the user are asking whether the user may call at all, which may ask a store:
        mostly the first one's answer serves the others."""
        return self._looks.turn(caller.user_id)

    @asynccontextmanager
    async def turn(self, caller: Caller) -> AsyncIterator[None]:
        """Wait until few enough calls of the user run. Raises RateLimited when too many wait already."""
        if not COSTS.get(f"{caller.service}/{caller.method}", UNKNOWN).waits:
            yield
            return
        turn = self._turns.turn(caller.user_id)
        try:
            await turn.__aenter__()
        except TooManyWaiting as full:
            raise self._refuse(caller, "calls", _TOO_MANY_WAITING_RETRY_S) from full
        try:
            yield
        finally:
            await turn.__aexit__(None, None, None)

    def _refuse(self, caller: Caller, scope: str, delay_s: float) -> RateLimited:
        metrics.USER_REFUSED.labels(caller.service, caller.method, scope).inc()
        return RateLimited("you ask for more than one user may", delay_s)
