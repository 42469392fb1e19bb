"""A flood by one: others write at their pace, first alone, then while one user sends as fast as possible."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loadtests.evening.latencies import Latencies
from loadtests.message_path import parts
from loadtests.message_path.delivery_check import Ledger, Sent, prove
from loadtests.message_path.figures import percentile
from loadtests.message_path.fleet import Fleet
from parley_client.client import Edge

Say = Callable[[dict[str, Any]], None]

# By so much others' 95th percentile may be longer while one floods.
WORSE_AT_MOST = 1.5
# The flood begins before the others are timed, and ends after.
_AROUND_S = 3.0
# Below this the share is one of milliseconds that a machine is busy anyway.
LEAST_MS = 20.0


@dataclass(frozen=True)
class FloodPlan:
    """Pairs who write so many messages a second together; a user who keeps `at_once` sends under way."""

    pairs: int = 10
    rate: float = 20.0
    part_s: float = 30.0
    at_once: int = 64
    seed: int = 1


async def run_flood(edge: Edge, plan: FloodPlan, say: Say) -> dict[str, Any]:
    """The figures: send to delivery for the others, without and with the flood."""
    ledger = Ledger()
    paced = parts.Plan(paced_pairs=plan.pairs, paced_rate=plan.rate, paced_s=plan.part_s, seed=plan.seed)
    warm = parts.Plan(paced_pairs=plan.pairs, paced_rate=plan.rate, paced_s=min(plan.part_s, 10.0), seed=plan.seed)
    began_s = time.monotonic()
    async with Fleet(edge, ledger) as fleet:
        say({"phase": "warm-up"})
        await parts.run_paced(fleet, warm)
        say({"phase": "steady"})
        alone = await parts.run_paced(fleet, paced)
        process = await _begin_flood(edge, plan)
        try:
            await asyncio.sleep(_AROUND_S)
            flooded = await parts.run_paced(fleet, paced)
            out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        say({"phase": "ending"})
        await fleet.sync(fleet.members)
        proof = prove((member.receiver for member in fleet.members), ledger.acknowledged)
    latencies = Latencies(began_s, float("inf"))
    p95 = {}
    for name, sent in (("alone", alone), ("while one floods", flooded)):
        _record(latencies, name, sent)
        p95[name] = percentile([one.last_ms for one in sent if one.is_delivered], 0.95)
    outcomes: dict[str, int] = json.loads(out) if out else {}
    worse = p95["while one floods"] / max(p95["alone"], LEAST_MS)
    return {
        "actions": latencies.as_dict(time.monotonic()),
        "headline": {
            "others_p95_alone_ms": round(p95["alone"], 1),
            "others_p95_while_one_floods_ms": round(p95["while one floods"], 1),
            "worse": round(worse, 2),
            "flood_sent": outcomes.get("sent", 0),
            "flood_refused": sum(outcomes.values()) - outcomes.get("sent", 0),
            "flood_refused_by_reason": {name: n for name, n in outcomes.items() if name != "sent"},
        },
        "promises": {"lost": proof.lost, "duplicated": proof.duplicated, "reordered": proof.reordered},
        "faults": proof.faults,
        "reasons": _reasons(worse, outcomes),
    }


def _reasons(worse: float, outcomes: dict[str, int]) -> list[str]:
    reasons = [f"others' p95 is {worse:.2f} times as long while one floods"] if worse > WORSE_AT_MOST else []
    if not outcomes:
        reasons.append("the flooder ended without a word")
    return reasons


def _record(latencies: Latencies, name: str, sent: list[Sent]) -> None:
    for one in sent:
        if one.is_delivered:
            latencies.record(name, one.intended_s, one.arrived_s)
        else:
            latencies.fail(name, one.intended_s, "NEVER_BY_STREAM")


async def _begin_flood(edge: Edge, plan: FloodPlan) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.evening.flooder"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    job = {
        "edge": edge.address,
        "issuer": edge.issuer_url,
        "seconds": plan.part_s + 2 * _AROUND_S,
        "at_once": plan.at_once,
    }
    assert process.stdin
    process.stdin.write(json.dumps(job).encode() + b"\n")
    return process
