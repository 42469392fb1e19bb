"""Idle devices on one gateway, straight and through the edge: memory and CPU a device, the time until all are
connected, and until all are again after kill -9 of the gateway. The report is build/reports/devices.json."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from deploy.embedded.errors import StackError
from deploy.embedded.record import ROOT
from loadtests.idle_devices.measuring import HolderError, Round, measure
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report as write
from loadtests.stacks import own_stack

REPORT = ROOT / "build" / "reports" / "devices.json"
LOGS = ROOT / ".parley" / "load-devices-logs"
# The aim. What grpcio leaves of it stands in docs/benchmarks/devices.md.
AIM_KIB = 20
HEADLINE = ("devices", "kib_per_device", "idle_cpu_percent", "connect_all_s", "reconnect_all_s")
# The edge allows so many streams a connection; a gateway has the edges' connections, with as many as they like.
_STREAMS = {"straight": 500, "edge": 100}


def say(text: str) -> None:
    """A line of progress for whoever watches."""
    print(f"load-devices: {text}", file=sys.stderr, flush=True)


def write_report(path: Path, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The straight round's figures in front, all rounds behind."""
    first = rounds[0]
    figures = {name: first[name] for name in (*HEADLINE, "load_average")}
    return write(path, "devices", {**figures, "aim_kib_per_device": AIM_KIB, "rounds": rounds})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.devices", description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000, help="on the one gateway (default 10000)")
    parser.add_argument("--idle-s", type=float, default=20.0, help="how long they only stay (default 20)")
    parser.add_argument("--way", choices=("straight", "edge", "both"), default="both", help="to the gateway")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON report goes")
    return parser.parse_args()


async def main() -> int:
    """Starts a stack, runs the rounds, writes the report. Returns the exit status."""
    arguments = _arguments()
    ways = ("straight", "edge") if arguments.way == "both" else (arguments.way,)
    rounds = []
    try:
        for way in ways:
            # A stack for each: what the devices of the first round cost the gateway before its kill is gone with it.
            async with own_stack(LOGS) as record:
                plan = Round(way, arguments.devices, _STREAMS[way], arguments.idle_s)
                rounds.append(await measure(record, plan))
                say(json.dumps(rounds[-1]))
    except (StackError, HolderError) as error:
        say(str(error))
        return 1
    report = write_report(arguments.report, rounds)
    print(json.dumps({name: report[name] for name in HEADLINE}), flush=True)
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    run_scenario(main)
