"""The parts of a round: paced pairs, saturated pairs, a large group."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass

import grpc

from loadtests.message_path.delivery_check import Sent
from loadtests.message_path.fleet import Fleet, Member
from parley_client.waiting import DeadlineMissedError

# How long the last deliveries may take; what is not there then counts as not delivered.
_DELIVERED_WITHIN_S = 30.0


@dataclass(frozen=True)
class Plan:
    """How large a round is. Rates are messages a second."""

    paced_pairs: int = 10
    paced_rate: float = 50.0
    paced_s: float = 20.0
    full_pairs: int = 20
    # Sends that each of the pairs' users has under way. Raising it makes larger commits; lowering it lets the loop
    # idle.
    full_concurrency: int = 4
    full_s: float = 10.0
    group_members: int = 256
    group_rate: float = 2.0
    group_messages: int = 40
    baseline_s: float = 4.0
    body_bytes: int = 120
    seed: int = 1


@dataclass(frozen=True)
class Pair:
    """Two users and their conversation."""

    one: Member
    other: Member
    conversation_id: str


async def make_pairs(fleet: Fleet, count: int) -> list[Pair]:
    """Pairs of new users whose devices know their conversation."""
    members = await fleet.add(2 * count)
    halves = list(zip(members[::2], members[1::2], strict=True))
    ids = await asyncio.gather(*(fleet.open_direct(one, other) for one, other in halves))
    await fleet.sync(members)
    return [Pair(one, other, id_) for (one, other), id_ in zip(halves, ids, strict=True)]


async def run_paced(fleet: Fleet, plan: Plan) -> list[Sent]:
    """Poisson arrivals over the pairs, the sides in turn. What was sent, timed from when it was due."""
    pairs = await make_pairs(fleet, plan.paced_pairs)
    chance = random.Random(plan.seed)
    count = round(plan.paced_rate * plan.paced_s)
    before = len(fleet.ledger.sent)
    due_s = time.monotonic() + 0.2
    async with asyncio.TaskGroup() as sends:
        for number in range(count):
            due_s += chance.expovariate(plan.paced_rate)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            pair = pairs[number % len(pairs)]
            sides = (pair.one, pair.other)
            sender, receiver = sides if number // len(pairs) % 2 == 0 else sides[::-1]
            sends.create_task(fleet.send(sender, pair.conversation_id, [receiver.user_id], _body(plan, number), due_s))
    await _until_delivered(fleet)
    return _sent_since(fleet, before)


@dataclass(frozen=True)
class Saturation:
    """What the closed loop brought about. `seconds`: from the first send to the last delivery."""

    delivered: int
    seconds: float
    refused: int


async def run_saturated(fleet: Fleet, pairs: list[Pair], plan: Plan) -> Saturation:
    """A closed loop: every user keeps some sends under way for a time; then the last deliveries are waited for."""
    before = len(fleet.ledger.sent)
    began_s = time.monotonic()
    refused = await asyncio.gather(
        *(
            _send_until(fleet, pair, one, other, plan, began_s + plan.full_s)
            for pair in pairs
            for one, other in ((pair.one, pair.other), (pair.other, pair.one))
            for _ in range(plan.full_concurrency)
        )
    )
    await _until_delivered(fleet)
    delivered = [sent for sent in _sent_since(fleet, before) if sent.is_delivered]
    last_s = max((sent.arrived_s for sent in delivered), default=began_s)
    return Saturation(len(delivered), max(last_s - began_s, 1e-9), sum(refused))


async def run_group(fleet: Fleet, plan: Plan) -> list[Sent]:
    """Messages at an even pace into one group, from different members; each is awaited on every device."""
    members = await fleet.add(plan.group_members)
    group_id = await fleet.create_group(members[0], members[1:])
    await fleet.sync(members)
    everybody = [member.user_id for member in members]
    before = len(fleet.ledger.sent)
    begin_s = time.monotonic() + 0.5
    async with asyncio.TaskGroup() as sends:
        for number in range(plan.group_messages):
            due_s = begin_s + number / plan.group_rate
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            sender = members[number % len(members)]
            sends.create_task(fleet.send(sender, group_id, everybody, _body(plan, number), due_s))
    await _until_delivered(fleet)
    return _sent_since(fleet, before)


async def _send_until(fleet: Fleet, pair: Pair, one: Member, other: Member, plan: Plan, until_s: float) -> int:
    refused = number = 0
    while (now_s := time.monotonic()) < until_s:
        number += 1
        try:
            await fleet.send(one, pair.conversation_id, [other.user_id], _body(plan, number), now_s)
        except grpc.aio.AioRpcError:
            refused += 1
    return refused


async def _until_delivered(fleet: Fleet) -> None:
    with suppress(DeadlineMissedError):
        await fleet.changes.until(lambda: not fleet.ledger.undelivered, _DELIVERED_WITHIN_S, "the last delivery")


def _sent_since(fleet: Fleet, before: int) -> list[Sent]:
    return list(fleet.ledger.sent.values())[before:]


def _body(plan: Plan, number: int) -> str:
    return f"{number} ".ljust(plan.body_bytes, "x")
