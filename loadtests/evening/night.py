"""The evening itself: everybody does what is due when it is due, for a time; then all is compared."""

from __future__ import annotations

import asyncio
import gc
import random
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from loadtests.evening.building import build
from loadtests.evening.calling import Calls
from loadtests.evening.handset import Person, new_person
from loadtests.evening.latencies import Latencies
from loadtests.evening.people import People
from loadtests.evening.schedule import Action, Kind
from loadtests.evening.sessions import close_session, open_session, plan_session, tell_delivered
from loadtests.evening.state import EXPECTED, Evening
from loadtests.evening.tally import LATE_S
from loadtests.evening.town import draw_town
from loadtests.evening.witness import compare
from loadtests.evening.writing import DOINGS, THERE_WITHIN_S
from parley_client.client import Edge

# How long the generator sleeps at most before it looks at the schedule.
_LOOK_S = 1.0
# Whoever is there at the beginning comes within the first part of the warm-up.
_SPREAD_SHARE = 0.5
_ENDED_WITHIN_S = 60.0

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class NightPlan:
    """`people` of the town; `pace`: how many times as often sessions and calls come as the table of habits says."""

    people: int = 1000
    pace: float = 1.0
    warm_up_s: float = 300.0
    steady_s: float = 1800.0
    seed: int = 1


async def run_night(edge: Edge, plan: NightPlan, say: Say) -> dict[str, Any]:
    """The figures of an evening. `say` is told how far it is, each second."""
    chance = random.Random(plan.seed)
    habits = People(draw_town(plan.people, chance, People.habits), chance, plan.pace)
    mark = secrets.token_hex(3)
    persons = [new_person(edge, number, mark) for number in range(plan.people)]
    acknowledged: list[tuple[str, str, int]] = []
    ids = await build(
        edge,
        habits.town,
        persons,
        lambda done, of: say({"phase": "building", "done": done, "of": of}),
        lambda *ack: acknowledged.append(ack),
    )
    # What stands by now stays; a collection of it would stand in what is measured.
    gc.collect()
    gc.freeze()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60.0)) as http:
        begin_s = time.monotonic()
        steady_s = begin_s + plan.warm_up_s
        latencies = Latencies(steady_s, steady_s + plan.steady_s)
        evening = Evening(edge, habits.town, habits, persons, ids, latencies, http)
        for ack in acknowledged:
            evening.on_their_way.acknowledge(*ack)
        night = Night(evening, plan, say)
        await night.run(begin_s)
        proof = await compare(evening, random.Random(plan.seed))
    return {
        "actions": latencies.as_dict(time.monotonic()),
        "counts": dict(sorted(evening.counts.items())),
        "town": _describe(evening),
        "promises": {name: evening.counts[name] + proof[name] for name in ("lost", "duplicated", "reordered")},
        "faults": [*evening.faults, *proof["faults"]][:20],
        "messages_compared": proof["compared"],
        "media": {"packets_sent": night.calls.pump.packets_sent, "latest_ms": round(night.calls.pump.latest_s * 1000)},
    }


class Night:
    """Carries out what is due."""

    def __init__(self, evening: Evening, plan: NightPlan, say: Say) -> None:
        self.calls = Calls(evening)
        self._evening = evening
        self._plan = plan
        self._say = say

    async def run(self, begin_s: float) -> None:
        """From the first session to the last good-bye."""
        evening, plan = self._evening, self._plan
        spread_s = plan.warm_up_s * _SPREAD_SHARE
        for action in evening.habits.first_sessions(begin_s, spread_s):
            plan_session(evening, evening.persons[action.person], action.due_s)
        evening.add(*evening.habits.first_calls(begin_s, spread_s))
        services = (tell_delivered(evening), self.calls.pump.run(), self._tell_progress(begin_s))
        beside = [evening.begin_service(work) for work in services]
        try:
            await self._follow_schedule(evening.latencies.end_s)
            await self._end()
        finally:
            for task in (*beside, *evening.tasks):
                task.cancel()
            await asyncio.gather(*beside, *evening.tasks, return_exceptions=True)
            for person in evening.persons:
                for handset in person.handsets:
                    await handset.__aexit__()

    async def _follow_schedule(self, end_s: float) -> None:
        evening = self._evening
        while (now_s := time.monotonic()) < end_s:
            for action in evening.schedule.take_due(now_s):
                # How late the generator itself is: what it costs the figures.
                evening.latencies.record("generator", action.due_s, now_s)
                evening.begin(self._do(action))
            self._look_for_crash()
            next_s = evening.schedule.next_due_s or now_s + _LOOK_S
            evening.woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(min(next_s, now_s + _LOOK_S, end_s) - time.monotonic(), 0.0)):
                    await evening.woken.wait()

    async def _do(self, action: Action) -> None:
        evening = self._evening
        person = evening.persons[action.person]
        if action.kind is Kind.OPEN:
            # A push may have opened and closed one meanwhile, behind which another one is due.
            if action.due_s == person.next_open_s:
                await open_session(evening, person, action.due_s)
        elif action.kind is Kind.CLOSE:
            await close_session(evening, person)
        elif action.kind is Kind.CALL:
            evening.add(evening.habits.next_call(action.due_s, person.number))
            await self.calls.place(person, action)
        elif person.is_open and not person.is_closing:
            await self._do_in_session(person, action)

    async def _do_in_session(self, person: Person, action: Action) -> None:
        """What is due while the app still opens waits for it, and its time counts."""
        name, doing = DOINGS[action.kind]
        task = asyncio.current_task()
        assert task is not None
        person.doings.add(task)
        try:
            async with asyncio.timeout(THERE_WITHIN_S):
                await person.has_opened.wait()
            if person.is_there:
                await doing(self._evening, person, action)
            else:
                self._evening.latencies.fail(name, action.due_s, "NO_SESSION")
        except EXPECTED as error:
            self._evening.fail(name, action.due_s, error)
        finally:
            person.doings.discard(task)

    async def _end(self) -> None:
        """People hang up, what is on its way arrives, and all leave."""
        evening = self._evening
        self.calls.is_over.set()
        self._say({"phase": "ending"})
        deadline_s = time.monotonic() + _ENDED_WITHIN_S
        while evening.tasks and time.monotonic() < deadline_s:
            await asyncio.wait(evening.tasks, timeout=0.5)
        # Devices that have missed something are told within this time, or the message is lost.
        while evening.on_their_way.devices() and time.monotonic() < deadline_s + LATE_S:
            await asyncio.sleep(0.1)
            self._look_for_crash()
        evening.latencies.close_intervals(time.monotonic())
        for person in evening.persons:
            await close_session(evening, person)

    def _look_for_crash(self) -> None:
        if self._evening.crash is not None:
            raise self._evening.crash

    async def _tell_progress(self, begin_s: float) -> None:
        evening, plan = self._evening, self._plan
        p99: dict[str, float] = {}
        while True:
            await asyncio.sleep(1.0)
            if self.calls.is_over.is_set():
                return
            now_s = time.monotonic()
            p99 = evening.latencies.close_intervals(now_s) or p99
            self._say(
                {
                    "phase": "warm-up" if now_s < begin_s + plan.warm_up_s else "steady",
                    "at_s": round(now_s - begin_s, 1),
                    "of_s": plan.warm_up_s + plan.steady_s,
                    "devices": sum(len(person.handsets) for person in evening.persons),
                    "calls": self.calls.under_way,
                    "in_calls": self.calls.pump.talkers,
                    "counts": {name: evening.counts[name] for name in ("sessions", "messages", "deliveries", "calls")},
                    "p99_ms": {name: p99[name] for name in ("send", "deliver", "session", "generator") if name in p99},
                }
            )


def _describe(evening: Evening) -> dict[str, float]:
    groups = [len(place.members) for place in evening.town.places if place.is_group]
    return {
        "people": evening.town.people,
        "direct_conversations": len(evening.town.places) - len(groups),
        "groups": len(groups),
        "largest_group": max(groups, default=0),
    }
