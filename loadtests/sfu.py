"""The SFU under load: fan-out of video, voice calls, joins. The report is build/reports/sfu.json."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.embedded.record import ROOT
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report as write
from loadtests.sfu_media.parts import AUDIO_RATE, Bench, Load, Plan
from loadtests.sfu_media.profile import Sampler, find_py_spy
from loadtests.sfu_media.soak import soak
from loadtests.sfu_media.worker import run_worker

REPORT = ROOT / "build" / "reports" / "sfu.json"
SOAK_REPORT = ROOT / "build" / "reports" / "sfu_soak.json"
# Stacks of the last profile, as flame graphs are made of.
PROFILES = ROOT / "build" / "profiles" / "sfu"
LOG = ROOT / ".parley" / "bench-sfu.log"
QUICK = replace(Plan(), measured_s=3.0, warm_up_s=1.0, fanouts=1, voice_calls=20, joins=10)
# By what `--only` says: the name in the report.
POINTS = {"fan_out": "fanout50", "voice": "voice", "joins": "joins"}
PROFILED = replace(Plan(), measured_s=10.0, warm_up_s=1.0, joins=80)
# Short turns, so that there are many samples.
SOAK = replace(QUICK, measured_s=5.0)
# What a core may be used for forwarding and for calls.
FORWARDING_SHARE, VOICE_SHARE = 0.9, 0.8


async def run_round(plan: Plan, parts: Collection[str] = tuple(POINTS)) -> dict[str, Any]:
    """One round on a worker of its own."""
    figures: dict[str, Any] = {}
    before = os.getloadavg()[0]
    async with run_worker(LOG) as worker:
        bench = Bench(worker, plan)
        if "joins" in parts:
            join_ms, joins_per_s, kib = await bench.joins()
            figures |= {"join_ms": join_ms, "joins_per_s": joins_per_s, "kib_per_participant": kib}
        if "fan_out" in parts:
            fan_out = await bench.fan_out()
            figures |= {"fanout50": _fan_out_figures(fan_out), "delay_ms": fan_out.delays_ms}
        if "voice" in parts:
            figures["voice"] = _voice_figures(await bench.voice())
        await bench.stop()
    return {**figures, "load_average": {"before": before, "after": os.getloadavg()[0]}}


def _fan_out_figures(load: Load) -> dict[str, Any]:
    return {
        "us_per_forwarded": load.us_per_packet,
        "forwarded_per_core_s": FORWARDING_SHARE * 1e6 / load.us_per_packet,
        **_about(load),
    }


def _voice_figures(load: Load) -> dict[str, Any]:
    return {
        # From the cost of a packet, at the 100 a second of a call: a starved generator makes no calls cheap.
        "calls_per_core": VOICE_SHARE * 1e6 / (2 * AUDIO_RATE * load.us_per_packet),
        "us_per_forwarded": load.us_per_packet,
        **_about(load),
    }


async def find_limits(plan: Plan, parts: Collection[str] = tuple(POINTS)) -> dict[str, dict[str, Any]]:
    """By point, what its CPU goes into: a short run on a worker of its own, so that nothing disturbs the rounds."""
    program = find_py_spy()
    async with run_worker(LOG, is_instrumented=True) as worker:
        bench = Bench(worker, plan)
        points = {part: Sampler(worker.pid, PROFILES / f"{POINTS[part]}.folded", program) for part in parts}
        if "fan_out" in points:
            await bench.fan_out(points["fan_out"])
        if "voice" in points:
            await bench.voice(points["voice"])
        if "joins" in points:
            with points["joins"]:
                await bench.joins()
        await bench.stop()
    return {POINTS[part]: point.report for part, point in points.items()}


def _about(load: Load) -> dict[str, Any]:
    return {
        "worker_cpu_ratio": load.worker_cpu_s / load.wall_s,
        "generator_cpu_ratio": load.generator_cpu_s / load.wall_s,
        "packets": load.packets,
        "delivered_ratio": load.packets / load.offered,
        "delay_ms": load.delays_ms,
    }


def medians(rounds: list[Any]) -> Any:
    """The same shape, with the median of each number."""
    if isinstance(rounds[0], dict):
        return {name: medians([one[name] for one in rounds]) for name in rounds[0]}
    return round(statistics.median(rounds), 3)


def write_report(
    path: Path, plan: Plan, rounds: list[dict[str, Any]], limits: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Medians of the rounds with what limits at each point, and each round."""
    figures = medians(rounds)
    points = {name: {**figures.get(name, {}), **found} for name, found in limits.items()}
    return write(path, "sfu", {**figures, **points, "plan": vars(plan), "rounds": rounds})


async def main() -> int:
    """Runs the rounds, or the soak. Returns the exit status: 1 after a soak in which something grew."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.sfu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the report has their medians (default 3)")
    parser.add_argument("--quick", action="store_true", help="one short round, and no profile: to see that it works")
    parser.add_argument("--fanouts", type=int, default=Plan.fanouts, help="publishers with 50 receivers each")
    parser.add_argument("--voice-calls", type=int, default=Plan.voice_calls)
    parser.add_argument("--only", choices=tuple(POINTS), help="one part of the rounds")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="calls that come and go, instead of the rounds")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON report goes")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else replace(Plan(), fanouts=arguments.fanouts, voice_calls=arguments.voice_calls)
    if arguments.soak:
        found = write(SOAK_REPORT, "sfu", await soak(SOAK, arguments.soak, LOG))
        print(json.dumps(found), flush=True)
        return 1 if found["grows"] or not found["is_empty_between"] else 0
    parts = (arguments.only,) if arguments.only else tuple(POINTS)
    rounds = []
    for number in range(1 if arguments.quick else max(arguments.rounds, 1)):
        rounds.append(await run_round(plan, parts))
        print(f"round {number + 1}: {json.dumps(medians([rounds[-1]]))}", file=sys.stderr, flush=True)
    limits = {} if arguments.quick else await find_limits(PROFILED, parts)
    report = write_report(arguments.report, plan, rounds, limits)
    print(json.dumps({name: value for name, value in report.items() if name != "rounds"}), flush=True)
    return 0


if __name__ == "__main__":
    run_scenario(main)
