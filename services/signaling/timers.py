"""What wakes upkeep: alarms of this replica for promptness, periodic tasks for what crashed replicas left."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.signaling.alarms import Alarms
from services.signaling.moves import CallMoves
from services.signaling.upkeep import Upkeep

log = structlog.get_logger()


async def run_alarms(alarms: Alarms, upkeep: Upkeep, clock: Clock) -> None:
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
    # Set when there is something to do before the time.
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
