"""Routing under fixed traffic with 1, 2, 4 and 8 replicas of presence and gateway, and with one of them killed.

The report is build/reports/routing.json."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from deploy.embedded.errors import StackError
from deploy.embedded.record import ROOT
from loadtests.event_routing.failover import FailoverPlan, run_failover
from loadtests.event_routing.figures import Run, to_report
from loadtests.event_routing.scenario import Plan, run_with
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report as write

REPORT = ROOT / "build" / "reports" / "routing.json"
REPLICAS = (1, 2, 4, 8)
QUICK = replace(Plan(), users=320, events_per_s=200, seconds=4.0, rounds=1, idle_s=2.0)
QUICK_FAILOVER = replace(FailoverPlan(), users=100, events_per_s=100)


def say(text: str) -> None:
    """A line of progress for whoever watches."""
    print(f"load-routing: {text}", file=sys.stderr, flush=True)


async def run_all(plan: Plan, replicas: tuple[int, ...]) -> list[Run]:
    """Each number of replicas on a stack of its own."""
    runs = []
    for count in replicas:
        run = await run_with(count, plan)
        say(
            f"{count} replicas: events {sorted(run.handled_by_presence.values())}, cpu {run.cpu_s:.1f} s,"
            f" idle {run.idle_cpu_s:.1f} s, lost {run.lost}, duplicated {run.duplicated}"
        )
        runs.append(run)
    return runs


def write_report(path: Path, plan: Plan, runs: list[Run], failover: dict[str, Any]) -> dict[str, Any]:
    """The figures, beside what tells how they came about."""
    return write(path, "routing", {**to_report(runs), "failover": failover, "plan": asdict(plan)})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.routing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 and 2 replicas for seconds, to see that it works")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON report goes")
    return parser.parse_args()


async def main() -> int:
    """Runs everything and writes the report. Returns the exit status: 1 when an event was lost."""
    arguments = _arguments()
    plan, replicas = (QUICK, REPLICAS[:2]) if arguments.quick else (Plan(), REPLICAS)
    try:
        runs = await run_all(plan, replicas)
        failover = await run_failover(QUICK_FAILOVER if arguments.quick else FailoverPlan(), say)
    except StackError as error:
        say(str(error))
        return 1
    report = write_report(arguments.report, plan, runs, failover)
    print(json.dumps(report), flush=True)
    return 1 if report["lost"] or failover["lost"] else 0


if __name__ == "__main__":
    run_scenario(main)
