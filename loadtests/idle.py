"""What a stack takes while nothing happens: CPU, wake-ups and memory of each process over a minute.

With nobody or a few devices connected. The report is build/reports/idle.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from deploy.embedded.errors import StackError
from deploy.embedded.record import ROOT, StackRecord
from deploy.embedded.settings import PARTS
from loadtests.message_path.processes import cpu_s, memory_kib, used_since, wakeups
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report
from loadtests.stacks import edge_of, own_stack
from parley_client.client import Device
from parley_client.stream import EventStream

REPORT = ROOT / "build" / "reports" / "idle.json"
LOGS = ROOT / ".parley" / "idle-logs"
# Of one core, all processes together.
AIM_PERCENT = 5.0
READY_WITHIN_S = 60.0


def say(text: str) -> None:
    """A line of progress for whoever watches."""
    print(f"bench-idle: {text}", file=sys.stderr, flush=True)


async def measure(record: StackRecord, seconds: float) -> dict[str, dict[str, float]]:
    """By process: `cpu_percent` of one core and `wakeups_per_s`, of it and its children, and `memory_kib`."""
    pids = record.pids
    cpu, woken, began = cpu_s(pids), wakeups(pids), time.monotonic()
    await asyncio.sleep(seconds)
    lasted_s = time.monotonic() - began
    cpu, woken = used_since(cpu, cpu_s(pids)), used_since(woken, wakeups(pids))
    return {
        name: {
            "cpu_percent": round(cpu[name] / lasted_s * 100, 2),
            "wakeups_per_s": round(woken[name] / lasted_s, 1),
            "memory_kib": memory_kib(pid),
        }
        for name, pid in pids.items()
    }


def table(processes: dict[str, dict[str, float]], total: float) -> str:
    """The figures for reading, the dearest process first."""
    rows = sorted(processes.items(), key=lambda row: -row[1]["cpu_percent"])
    lines = [
        f"{name:<12}{row['cpu_percent']:>8.2f} %{row['wakeups_per_s']:>9.1f}/s{row['memory_kib'] / 1024:>9.0f} MiB"
        for name, row in rows
    ]
    return "\n".join(
        [f"{'process':<12}{'CPU':>10}{'wake-ups':>11}{'memory':>13}", *lines, f"{'all':<12}{total:>8.2f} %"]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long is measured (default 60)")
    parser.add_argument("--settle-s", type=float, default=30.0, help="after the start, before it (default 30)")
    parser.add_argument("--devices", type=int, default=0, help="connected meanwhile, each of another user (default 0)")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON report goes")
    return parser.parse_args()


async def main() -> int:
    """Starts a stack, looks at it, writes the report. Returns the exit status: 1 when the aim is missed."""
    arguments = _arguments()
    try:
        async with own_stack(LOGS, parts=frozenset(PARTS)) as record, AsyncExitStack() as cleanup:
            for _ in range(arguments.devices):
                device = Device(edge_of(record), f"idle-{secrets.token_hex(4)}", "phone")
                cleanup.push_async_callback(device.close)
                stream = await cleanup.enter_async_context(EventStream(device))
                await stream.until_current(READY_WITHIN_S)
            say(f"all runs; it settles for {arguments.settle_s:g} s and is measured for {arguments.seconds:g} s")
            await asyncio.sleep(arguments.settle_s)
            processes = await measure(record, arguments.seconds)
    except StackError as error:
        say(str(error))
        return 1
    total = round(sum(row["cpu_percent"] for row in processes.values()), 2)
    figures: dict[str, Any] = {
        "cpu_percent": total,
        "aim_cpu_percent": AIM_PERCENT,
        "devices": arguments.devices,
        "seconds": arguments.seconds,
        "processes": processes,
    }
    write_report(arguments.report, "idle", figures)
    say("by process:\n" + table(processes, total))
    print(json.dumps({"cpu_percent": total, "aim_cpu_percent": AIM_PERCENT}), flush=True)
    return int(total > AIM_PERCENT)


if __name__ == "__main__":
    os.chdir(ROOT)
    run_scenario(main)
