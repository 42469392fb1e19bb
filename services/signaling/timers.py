"""What wakes upkeep: alarms of this replica for promptness, periodic tasks for what crashed replicas left."""

import asyncio
from collections.abc import Sequence

import structlog

from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.periodic import PeriodicTask
from services.signaling.alarms import Alarms
from services.signaling.moves import CallMoves
from services.signaling.relays.service import ROUND_INTERVAL_S, RelaySweep
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


def periodic_tasks(upkeep: Upkeep, moves: CallMoves, relays: RelaySweep, wake: asyncio.Event) -> Sequence[PeriodicTask]:
    """All of them. Shorter intervals find what others left sooner, and cost idle queries."""
    return (
        PeriodicTask("sweep", upkeep.sweep, 2.0),
        PeriodicTask("inspect-workers", moves.inspect_workers, 2.0, wake),
        PeriodicTask("sweep-relays", relays.sweep, ROUND_INTERVAL_S),
        PeriodicTask("count-calls", upkeep.count, 5.0),
        PeriodicTask("prune-calls", upkeep.prune, 3600.0),
    )
