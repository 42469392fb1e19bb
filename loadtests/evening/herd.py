"""A herd: all devices lose the edge at once, and come back. How long that takes, and whether anything was lost."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from parley.gateway.v1 import messages_pb2 as events
from parley.messaging.v1 import messages_pb2, service_pb2

from loadtests.evening.building import build
from loadtests.evening.handset import CURRENT_WITHIN_S, Handset, Person, new_person
from loadtests.evening.town import Place, Town
from loadtests.message_path.figures import percentile
from parley_client.client import Edge
from parley_client.conversations import Conversations
from parley_client.delivery_checks import delivery_faults
from parley_client.waiting import DeadlineMissedError

Say = Callable[[dict[str, Any]], None]

_LOOK_S = 0.02
_BACK_WITHIN_S = 180.0
_STARTED_AT_ONCE = 16
_SETTLE_S = 5.0
_WRITE_EVERY_S = 0.5
_RETRY_S = 0.2


@dataclass(frozen=True)
class HerdPlan:
    """`devices`, each of another person and with a connection of its own; every tenth pair writes all the time."""

    devices: int = 500
    seed: int = 1


@dataclass
class Herd:
    """The devices, and when each was back."""

    persons: list[Person]
    lost_at_s: float = 0.0
    ready_s: dict[str, float] = field(default_factory=dict)
    resumed: int = 0
    back_s: dict[str, float] = field(default_factory=dict)

    def hear(self, handset: Handset, event: events.DeviceEvent, now_s: float) -> None:
        """Notes who is connected again."""
        if event.WhichOneof("event") == "ready" and self.lost_at_s:
            self.ready_s.setdefault(handset.name, now_s)
            self.resumed += event.ready.resumed

    def look(self, now_s: float) -> None:
        """Who is connected again, and has everything."""
        for person in self.persons:
            handset = person.phone
            if handset.name in self.ready_s and handset.name not in self.back_s and handset.is_current:
                self.back_s[handset.name] = now_s - self.lost_at_s


async def run_herd(edge: Edge, pids: dict[str, int], plan: HerdPlan, say: Say) -> dict[str, Any]:
    """The figures: seconds from the loss until half, 95 % and all of the devices are back and have everything."""
    mark = secrets.token_hex(3)
    persons = [new_person(edge, number, mark) for number in range(plan.devices)]
    places = tuple(Place((number, (number + 1) % plan.devices), is_group=False) for number in range(plan.devices))
    town = Town(plan.devices, places, ())
    acknowledged: dict[str, list[tuple[str, int]]] = {}

    def acknowledge(key: str, conversation_id: str, seq: int) -> None:
        acknowledged.setdefault(conversation_id, []).append((key, seq))

    ids = await build(
        edge, town, persons, lambda done, of: say({"phase": "building", "done": done, "of": of}), acknowledge
    )
    herd = Herd(persons)
    async with AsyncExitStack() as cleanup:
        await _connect(edge, herd, cleanup, say)
        writers = [
            asyncio.create_task(_write(persons[number], ids[number], acknowledge))
            for number in range(0, plan.devices, 10)
        ]
        say({"phase": "steady", "at_s": 0.0, "of_s": _SETTLE_S, "devices": plan.devices})
        await asyncio.sleep(_SETTLE_S)
        herd.lost_at_s = time.monotonic()
        os.kill(pids["edge"], signal.SIGKILL)
        await _until_back(herd, plan, say)
        await asyncio.sleep(_SETTLE_S)
        say({"phase": "ending"})
        await _stop(writers)
        faults = await _compare(herd, town, ids, acknowledged)
    return _figures(herd, plan, faults, _dead(pids))


async def _connect(edge: Edge, herd: Herd, cleanup: AsyncExitStack, say: Say) -> None:
    gate = asyncio.Semaphore(_STARTED_AT_ONCE)
    connected = 0

    async def one(person: Person) -> None:
        nonlocal connected
        async with gate:
            handset = Handset(edge, person.user_id, "device-1", person.tokens, herd.hear)
            person.handsets = [await cleanup.enter_async_context(handset)]
            await handset.stream.until_current(CURRENT_WITHIN_S)
        connected += 1
        say({"phase": "connecting", "done": connected, "of": len(herd.persons)})

    await asyncio.gather(*(one(person) for person in herd.persons))


async def _write(person: Person, conversation_id: str, acknowledge: Callable[[str, str, int], None]) -> None:
    """Messages without a pause; one that finds nobody is sent again, the same, as a device does."""
    chance = random.Random(person.number)
    while True:
        key = secrets.token_hex(16)
        request = service_pb2.SendMessageRequest(
            conversation_id=conversation_id, client_message_id=key, text=messages_pb2.TextContent(text="hello")
        )
        seq = 0
        while not seq:
            try:
                seq = (await person.phone.device.messaging.SendMessage(request, timeout=5.0)).message.seq
            except grpc.aio.AioRpcError:
                await asyncio.sleep(_RETRY_S)
        acknowledge(key, conversation_id, seq)
        await asyncio.sleep(chance.expovariate(1 / _WRITE_EVERY_S))


async def _until_back(herd: Herd, plan: HerdPlan, say: Say) -> None:
    said_s = 0.0
    while len(herd.back_s) < plan.devices and (now_s := time.monotonic()) - herd.lost_at_s < _BACK_WITHIN_S:
        herd.look(now_s)
        if now_s - said_s > 1.0:
            said_s = now_s
            say({"phase": "steady", "done": len(herd.back_s), "of": plan.devices})
        await asyncio.sleep(_LOOK_S)


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    # Only cancelled ones: what ended a writer is a fault of the generator.
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


async def _compare(herd: Herd, town: Town, ids: list[str], acknowledged: dict[str, list[tuple[str, int]]]) -> list[str]:
    """What the devices lack of what was acknowledged, after some time for the last deliveries."""
    faults = []
    for place, conversation_id in zip(town.places, ids, strict=True):
        last = max((seq for _, seq in acknowledged[conversation_id]), default=0)
        for member in place.members:
            stream = herd.persons[member].phone.stream
            conversations = stream.inbox.conversations
            try:
                has_all = partial(_has_all, conversations, conversation_id, last)
                await stream.until(has_all, CURRENT_WITHIN_S, f"seq {last}")
            except DeadlineMissedError as error:
                faults.append(f"{herd.persons[member].user_id}: {error}")
            faults += delivery_faults(conversations.history(conversation_id), acknowledged[conversation_id])
    return faults


def _has_all(conversations: Conversations, conversation_id: str, last: int) -> bool:
    return conversations.history(conversation_id).cursor >= last


def _dead(pids: dict[str, int]) -> list[str]:
    """Processes, beside the edge, that are not those of the beginning."""
    dead = []
    for name, pid in pids.items():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            if name != "edge":
                dead.append(name)
    return dead


def _figures(herd: Herd, plan: HerdPlan, faults: list[str], dead: list[str]) -> dict[str, Any]:
    times = list(herd.back_s.values())
    away = plan.devices - len(times)
    reasons = [f"{name} did not survive it" for name in dead]
    reasons += [f"{away} devices were not back after {_BACK_WITHIN_S:g} s"] if away else []
    twice = sum("stands twice" in fault for fault in faults)
    return {
        "headline": {
            "devices": plan.devices,
            **{f"back_{share * 100:g}_percent_s": round(percentile(times, share), 2) for share in (0.5, 0.95, 1.0)},
            "first_back_s": round(min(times, default=0.0), 2),
            "resumed": herd.resumed,
            "began_afresh": len(herd.ready_s) - herd.resumed,
        },
        "promises": {"lost": len(faults) - twice, "duplicated": twice, "reordered": 0},
        "faults": faults[:20],
        "reasons": reasons,
        "back_s": [round(value, 2) for value in sorted(times)],
    }
