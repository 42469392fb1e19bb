"""The message path under load: latency at a pace, throughput at saturation, a large group; with proof that nothing was
lost, doubled or reordered. The report is build/reports/messages.json."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.embedded.errors import StackError
from deploy.embedded.record import ROOT, StackRecord
from loadtests.generating import GeneratorError, figures_of
from loadtests.message_path.echo_hook import HOOKS, EchoHookError, echo_hook
from loadtests.message_path.figures import HOOK, HOOK_MS, SUMMED, summarize
from loadtests.message_path.generator import Job
from loadtests.message_path.parts import Plan
from loadtests.message_path.peer import PeerError, compare, measure, variable
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report
from loadtests.stacks import find_stack, own_stack

REPORT = ROOT / "build" / "reports" / "messages.json"
LOGS = ROOT / ".parley" / "load-messages-logs"
QUICK = replace(Plan(), paced_s=4.0, full_s=3.0, group_messages=8, baseline_s=1.5)


GENERATOR = "loadtests.message_path.generator"


def job_of(record: StackRecord, plan: Plan) -> Job:
    """A round against this stack."""
    metrics = record.metrics_addresses["messaging"] if HOOK in record.pids else ""
    return Job(
        *(record.edge_address, record.issuer_url, record.database_urls["parley_messaging"], record.pids, plan), metrics
    )


async def run_rounds(record: StackRecord, plan: Plan, rounds: int, peer: str = "") -> dict[str, Any]:
    """The report of the rounds, each in a process of its own with users of its own; in turn with a peer's, if one is
    named. Raises GeneratorError, PeerError."""
    ours, its = [], []
    for number in range(1, rounds + 1):
        ours.append(await figures_of(GENERATOR, job_of(record, replace(plan, seed=number)).to_json()))
        say(f"round {number}: {_in_short(ours[-1])}")
        if peer:
            its.append(await measure(peer))
            say(f"round {number} of {peer}: {_in_short(its[-1])}")
    beside = {"peer": compare(peer, ours, its)} if peer else {}
    # The medians, beside what tells how they came about.
    return {**summarize(ours), **beside, "rounds": ours}


def _in_short(figures: dict[str, Any]) -> str:
    names = ("send_to_deliver_ms", "throughput", "group256_last_ms", "ratio_to_database", *SUMMED, "load_average")
    return ", ".join(f"{name} {figures[name]}" for name in (*names, HOOK_MS) if name in figures)


def say(text: str) -> None:
    """A line of progress for whoever watches."""
    print(f"load-messages: {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.messages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the report has their medians (default 3)")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    parser.add_argument(
        "--running-stack", action="store_true", help="use that of a running `make run`, if there is one"
    )
    parser.add_argument(
        "--hook",
        choices=list(HOOKS),
        help="have a hook judge each message, which lets all pass, over gRPC or HTTP; compare with a run without",
    )
    parser.add_argument(
        "--peer",
        metavar="NAME",
        help=f"measure another server in turn, by the command that {variable('NAME')} holds (message_path/peer.py)",
    )
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON report goes")
    arguments = parser.parse_args()
    if arguments.hook and arguments.running_stack:
        parser.error("--hook needs a stack of its own")
    return arguments


@asynccontextmanager
async def _stack(arguments: argparse.Namespace) -> AsyncIterator[StackRecord]:
    async with AsyncExitStack() as parts:
        if arguments.running_stack:
            yield await parts.enter_async_context(find_stack(own=False, say=say))
            return
        if not arguments.hook:
            yield await parts.enter_async_context(own_stack(LOGS))
            return
        hook = await parts.enter_async_context(echo_hook(arguments.hook))
        record = await parts.enter_async_context(own_stack(LOGS, env=hook.env))
        yield replace(record, pids={**record.pids, HOOK: hook.pid})


async def main() -> int:
    """Starts a stack, runs the rounds, writes the report. Returns the exit status."""
    arguments = _arguments()
    plan, rounds = (QUICK, 1) if arguments.quick else (Plan(), max(arguments.rounds, 1))
    try:
        async with _stack(arguments) as record:
            figures = await run_rounds(record, plan, rounds, arguments.peer or "")
        report = write_report(arguments.report, "messages", figures)
    except (StackError, GeneratorError, EchoHookError, PeerError) as error:
        say(str(error))
        return 1
    print(json.dumps({name: value for name, value in report.items() if name != "rounds"}), flush=True)
    return 1 if any(report[name] for name in SUMMED) else 0


if __name__ == "__main__":
    run_scenario(main)
