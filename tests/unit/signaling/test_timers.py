"""Alarms and periodic_tasks: what is due comes out, and an outage stops neither."""

import asyncio
from datetime import timedelta

from services.runtime.periodic import PeriodicTask
from services.signaling.alarms import Alarms
from services.signaling.core.model import CallId, CallState
from services.signaling.timers import periodic_tasks, run_alarms
from tests.support.waiting import eventually, within
from tests.unit.signaling.fakes import ALICE, START, TIMEOUTS, World

FIRST, SECOND = CallId("first"), CallId("second")
SOON = START + timedelta(seconds=1)


def test_alarms_come_out_once_in_the_order_of_their_times() -> None:
    alarms = Alarms()
    alarms.schedule(SECOND, SOON)
    alarms.schedule(FIRST, START)
    assert alarms.pop_due(START - timedelta(seconds=1)) == []
    assert alarms.pop_due(SOON) == [FIRST, SECOND]
    assert alarms.pop_due(SOON) == []


async def test_waiting_ends_when_an_earlier_alarm_is_set() -> None:
    alarms = Alarms()
    waiting = asyncio.create_task(alarms.wait(START))
    await asyncio.sleep(0)
    alarms.schedule(FIRST, START + timedelta(hours=1))
    await within(waiting)


async def test_waiting_for_an_alarm_that_is_due_takes_no_time() -> None:
    alarms = Alarms()
    alarms.schedule(FIRST, START)
    await within(alarms.wait(START))


async def test_a_due_alarm_ends_the_ring_and_an_outage_is_survived() -> None:
    world, alarms = World(), Alarms()
    call = await world.start()
    world.clock.advance(TIMEOUTS.ring_s)
    world.store.down = True
    alarms.schedule(call.call_id, world.clock.now())
    running = asyncio.create_task(run_alarms(alarms, world.upkeep, world.clock))

    async def was_refused() -> bool:
        return world.store.refused > 0

    async def has_ended() -> bool:
        return (await world.service.get_call(call.call_id, ALICE)).state is CallState.ENDED

    await eventually(was_refused)
    world.store.down = False
    alarms.schedule(call.call_id, world.clock.now())
    await eventually(has_ended)
    assert not running.done()
    running.cancel()


async def test_a_periodic_task_goes_on_after_an_outage() -> None:
    world = World()
    turns: list[bool] = []

    async def work() -> None:
        turns.append(True)
        world.store.down = len(turns) == 1
        await world.upkeep.sweep()

    running = asyncio.create_task(PeriodicTask("sweep", work, 0).run())

    async def has_gone_on() -> bool:
        return len(turns) >= 3

    await eventually(has_gone_on)
    running.cancel()


def test_every_periodic_task_has_a_name_of_its_own() -> None:
    world = World()
    made = periodic_tasks(world.upkeep, world.moves, world.relay_sweep, asyncio.Event())
    assert len({task.name for task in made}) == len(made)
