"""What each hop of a message costs with nothing of ours in it: a unary RPC, Envoy, a statement, a record. The report is
build/reports/floors.json; docs/benchmarks/messages.md has what we spend beside it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from deploy.embedded.errors import StackError
from deploy.embedded.record import ROOT, StackRecord
from loadtests.generating import GeneratorError, figures_of
from loadtests.hop_floors.probe import Job
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report
from loadtests.stacks import own_stack

REPORT = ROOT / "build" / "reports" / "floors.json"
LOGS = ROOT / ".parley" / "floors-logs"
# Stores alone: what others do is not measured.
PARTS = frozenset({"postgres", "broker"})


def job_of(record: StackRecord, paced_s: float, full_s: float) -> Job:
    """All hops against the stores of this stack."""
    pids = {part: record.pids[part] for part in PARTS}
    return Job(record.database_urls["parley_messaging"], record.kafka_bootstrap, pids, paced_s=paced_s, full_s=full_s)


async def probe(job: Job) -> dict[str, Any]:
    """The figures of all hops, measured in a process of its own. Raises GeneratorError."""
    return await figures_of("loadtests.hop_floors.probe", job.to_json())


def table(hops: dict[str, Any]) -> str:
    """The figures for reading."""
    lines = [f"{'hop':<22}{'p50 ms':>8}{'p99 ms':>8}  CPU-s per 1,000, at the pace; back to back"]
    for name, hop in hops.items():
        paced, full = hop["paced"], hop["full"]
        cpu = "; ".join(
            ", ".join(f"{who} {used:.2f}" for who, used in one["cpu_s_per_1000"].items()) for one in (paced, full)
        )
        lines.append(f"{name:<22}{paced['ms']['p50']:>8.2f}{paced['ms']['p99']:>8.2f}  {cpu}")
    return "\n".join(lines)


def say(text: str) -> None:
    """A line of progress for whoever watches."""
    print(f"floors: {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.floors", description=__doc__)
    parser.add_argument("--paced-s", type=float, default=10.0, help="each hop at 50 a second (default 10)")
    parser.add_argument("--full-s", type=float, default=4.0, help="each hop back to back (default 4)")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON report goes")
    return parser.parse_args()


async def main() -> int:
    """Starts the stores, takes each hop, writes the report. Returns the exit status."""
    arguments = _arguments()
    try:
        async with own_stack(LOGS, parts=PARTS) as record:
            hops = await probe(job_of(record, arguments.paced_s, arguments.full_s))
    except (StackError, GeneratorError) as error:
        say(str(error))
        return 1
    report = write_report(arguments.report, "floors", {"hops": hops})
    say("at 50/s:\n" + table(hops))
    print(json.dumps(report["hops"]), flush=True)
    return 0


if __name__ == "__main__":
    run_scenario(main)
