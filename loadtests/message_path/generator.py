"""One round, in a process of its own: a job as JSON on stdin, the round's figures as JSON on stdout."""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

import uvloop

from loadtests.message_path import figures
from loadtests.message_path.database_baseline import database_rate
from loadtests.message_path.delivery_check import Ledger, prove
from loadtests.message_path.fleet import Fleet
from loadtests.message_path.parts import Plan, make_pairs, run_group, run_paced, run_saturated
from loadtests.message_path.processes import cpu_s, used_since
from loadtests.message_path.questions import asked, mean_ms
from parley_client.client import Edge


@dataclass(frozen=True)
class Job:
    """A round against a stack. `pids` by the stack's names, and that of the hook, if there is one.

    `hook_metrics`: the address of the metrics of messaging, which counts how long the hook is asked; empty without one.
    """

    edge_address: str
    issuer_url: str
    database_url: str
    pids: dict[str, int]
    plan: Plan
    hook_metrics: str = ""

    def to_json(self) -> str:
        """As the generator reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "plan": Plan(**fields["plan"])})


async def run_round(job: Job) -> dict[str, Any]:
    """All parts, one after the other, then a Sync of every device and the proof."""
    plan = job.plan
    ledger = Ledger()
    pids = {name: job.pids[part] for part, name in figures.PROCESSES.items()} | {figures.CLIENT: os.getpid()}
    if job.hook_metrics:
        pids[figures.HOOK] = job.pids[figures.HOOK]
    load = [round(os.getloadavg()[0], 2)]
    async with Fleet(Edge(job.edge_address, job.issuer_url), ledger) as fleet:
        questions = await asked(job.hook_metrics) if job.hook_metrics else None
        before = cpu_s(pids)
        paced = await run_paced(fleet, plan)
        paced_cpu = used_since(before, cpu_s(pids))
        hook_ms = {figures.HOOK_MS: mean_ms(questions, await asked(job.hook_metrics))} if questions else {}
        pairs = await make_pairs(fleet, plan.full_pairs)
        load.append(round(os.getloadavg()[0], 2))
        before = cpu_s(pids)
        full = await run_saturated(fleet, pairs, plan)
        full_cpu = used_since(before, cpu_s(pids))
        load.append(round(os.getloadavg()[0], 2))
        group = await run_group(fleet, plan)
        await fleet.sync(fleet.members)
        proof = prove((member.receiver for member in fleet.members), ledger.acknowledged)
        reconnects = sum(member.reconnects for member in fleet.members)
        resyncs = sum(member.resyncs for member in fleet.members)
    rate = await database_rate(job.database_url, plan.baseline_s, plan.body_bytes)
    throughput = full.delivered / full.seconds
    return {
        "send_to_deliver_ms": figures.percentiles([sent.last_ms for sent in paced if sent.is_delivered], (50, 95, 99)),
        "throughput": round(throughput, 1),
        **hook_ms,
        "group256_last_ms": figures.percentiles([sent.last_ms for sent in group if sent.is_delivered], (95,)),
        "lost": proof.lost,
        "duplicated": proof.duplicated,
        "reordered": proof.reordered,
        "cpu_s_per_1000": figures.per_1000(full_cpu, full.delivered),
        "ratio_to_database": round(throughput / rate, 3),
        "database_transactions_per_s": round(rate, 1),
        "paced_cpu_s_per_1000": figures.per_1000(paced_cpu, len(paced)),
        "messages": {"paced": len(paced), "saturated": full.delivered, "group": len(group)},
        "not_delivered_live": ledger.undelivered,
        "refused": full.refused,
        "reconnects": reconnects,
        "resyncs": resyncs,
        "faults": proof.faults,
        # One-minute averages: before the round, before and after the saturation.
        "load_average": load,
    }


def main() -> None:
    """Reads the job, runs it, writes the figures."""
    job = Job.from_json(sys.stdin.read())
    # A full collection over the whole history would stand in the latency of the messages.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    print(json.dumps(uvloop.run(run_round(job))), flush=True)


if __name__ == "__main__":
    main()
