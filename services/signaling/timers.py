"""What wakes upkeep: alarms of this replica for promptness, periodic tasks for what crashed replicas left."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from services.runtime.errors import StoreUnavailable
from services.signaling.core.model import CallId
from services.signaling.moves import CallMoves
from services.signaling.ports import WallClock
from services.signaling.upkeep import Upkeep

log = structlog.get_logger()

# The longest sleep of the alarms, so that a clock that was set does not leave them asleep.
LONGEST_WAIT_S = 5.0


@dataclass
class Alarms:
    """When this replica looks at which call. Lost with the process: the table's due_time is not."""

    _heap: list[tuple[datetime, CallId]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def schedule(self, call_id: CallId, due_time: datetime) -> None:
        """Have the call looked at then, besides any earlier time."""
        heapq.heappush(self._heap, (due_time, call_id))
        self._changed.set()

    def pop_due(self, now: datetime) -> list[CallId]:
        """The calls to look at now; each alarm is given once."""
        due: list[CallId] = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[1])
        return due

    async def wait(self, now: datetime) -> None:
        """Return when an alarm is due or a new one was set."""
        wait_s = (self._heap[0][0] - now).total_seconds() if self._heap else LONGEST_WAIT_S
        try:
            async with asyncio.timeout(max(0.0, min(wait_s, LONGEST_WAIT_S))):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()


async def run_alarms(alarms: Alarms, upkeep: Upkeep, clock: WallClock) -> None:
    """Look at each call when its alarm is due, for ever."""
    while True:
        await alarms.wait(clock.now())
        for call_id in alarms.pop_due(clock.now()):
            try:
                await upkeep.tick(call_id)
            except StoreUnavailable:
                # The sweep finds the call when the store is back.
                log.warning("alarm_missed", call_id=call_id)
            except Exception:
                # One call that cannot be looked at must not keep the others from it.
                log.exception("alarm_failed", call_id=call_id)


@dataclass(frozen=True)
class PeriodicTask:
    """Upkeep done again and again; what fails in an outage is done at a later turn."""

    name: str
    work: Callable[[], Awaitable[None]]
    interval_s: float
    # Set by who knows that there is something to do before the time.
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work for ever."""
        while True:
            self.wake.clear()
            try:
                await self.work()
            except StoreUnavailable:
                log.info("upkeep_waiting", routine=self.name)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.interval_s):
                    await self.wake.wait()


def periodic_tasks(upkeep: Upkeep, moves: CallMoves, wake: asyncio.Event) -> Sequence[PeriodicTask]:
    """All of them. Shorter intervals find what others left sooner, and cost idle queries."""
    return (
        PeriodicTask("sweep", upkeep.sweep, 2.0),
        PeriodicTask("inspect-workers", moves.inspect_workers, 2.0, wake),
        PeriodicTask("count-calls", upkeep.count, 5.0),
        PeriodicTask("prune-calls", upkeep.prune, 3600.0),
    )
