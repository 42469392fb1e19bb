"""A hot group: all of its members talk at once, and each device is told of all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc

from loadtests.evening.latencies import Latencies
from loadtests.evening.state import reason_text
from loadtests.message_path.delivery_check import Ledger, prove
from loadtests.message_path.fleet import Fleet, Member
from parley_client.client import Edge
from parley_client.waiting import DeadlineMissedError

Say = Callable[[dict[str, Any]], None]

_DELIVERED_WITHIN_S = 120.0
_BODY = "x" * 120


@dataclass(frozen=True)
class HotGroupPlan:
    """`members` with a device each; so many times all of them send at the same moment."""

    members: int = 256
    rounds: int = 5
    pause_s: float = 2.0
    seed: int = 1


async def run_hot_group(edge: Edge, plan: HotGroupPlan, say: Say) -> dict[str, Any]:
    """The figures: each send's acknowledgement, and when the last device had each message."""
    ledger = Ledger()
    async with Fleet(edge, ledger) as fleet:
        say({"phase": "building"})
        members = await fleet.add(plan.members)
        group_id = await fleet.create_group(members[0], members[1:])
        await fleet.sync(members)
        began_s = time.monotonic()
        latencies = Latencies(began_s, float("inf"))
        rounds_s = []
        for number in range(plan.rounds):
            say({"phase": "steady", "done": number, "of": plan.rounds})
            rounds_s.append(await _all_at_once(fleet, members, group_id, latencies))
            await asyncio.sleep(plan.pause_s)
        say({"phase": "ending"})
        for sent in ledger.sent.values():
            if sent.is_delivered:
                latencies.record("last device", sent.intended_s, sent.arrived_s)
            else:
                latencies.fail("last device", sent.intended_s, "NEVER_BY_STREAM")
        await fleet.sync(members)
        proof = prove((member.receiver for member in members), ledger.acknowledged)
        resyncs = sum(member.resyncs for member in members)
    return {
        "actions": latencies.as_dict(time.monotonic()),
        "headline": {
            "members": plan.members,
            "messages": plan.rounds * plan.members,
            "deliveries": plan.rounds * plan.members * plan.members,
            "until_all_have_all_s": round(max(rounds_s), 2),
            "deliveries_per_s": round(plan.members**2 / max(min(rounds_s), 1e-9)),
            "told_to_sync": resyncs,
        },
        "promises": {"lost": proof.lost, "duplicated": proof.duplicated, "reordered": proof.reordered},
        "faults": proof.faults,
        "reasons": [],
    }


async def _all_at_once(fleet: Fleet, members: list[Member], group_id: str, latencies: Latencies) -> float:
    """Seconds until each device has each message."""
    everybody = [member.user_id for member in members]
    due_s = time.monotonic()

    async def send(member: Member) -> None:
        try:
            await fleet.send(member, group_id, everybody, _BODY, due_s)
        except grpc.aio.AioRpcError as error:
            latencies.fail("send", due_s, reason_text(error))
        else:
            latencies.record("send", due_s, time.monotonic())

    await asyncio.gather(*(send(member) for member in members))
    with suppress(DeadlineMissedError):
        await fleet.changes.until(lambda: not fleet.ledger.undelivered, _DELIVERED_WITHIN_S, "the last delivery")
    return time.monotonic() - due_s
