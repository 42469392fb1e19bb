"""Two browsers in a call over bad networks. The report is build/reports/impaired.json, a row for each condition."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from parley.sfu.v1 import service_pb2, service_pb2_grpc

from deploy.embedded.record import ROOT
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report
from loadtests.sfu_media import chromium
from loadtests.sfu_media.impairment import Condition, ImpairedRelay
from loadtests.sfu_media.playback import Sample, row_of, sample_of, time_to_ms
from loadtests.sfu_media.worker import WorkerProcess, run_worker
from services.runtime.grpc.channels import connect

REPORT = ROOT / "build" / "reports" / "impaired.json"
LOG = ROOT / ".parley" / "bench-impaired.log"
# Each side of each path; the loss is that of one leg.
CONDITIONS = {
    "clean": Condition(),
    "loss_2": Condition(loss=0.02),
    "loss_5": Condition(loss=0.05),
    "loss_10": Condition(loss=0.10),
    "bursts": Condition(burst=0.005, burst_packets=6),
    "jitter_50_30": Condition(delay_s=0.05, jitter_s=0.03),
    "reordering": Condition(delay_s=0.03, jitter_s=0.01, reorders=True),
}
GOOD_RATE, POOR_RATE = Condition(rate_bps=2_000_000, delay_s=0.02), Condition(rate_bps=300_000, delay_s=0.02)
SAMPLE_S = 0.1
WIDEST = 1280


class Watching:
    """Ann watches bob; her path is the impaired one."""

    def __init__(self, worker: WorkerProcess, seconds: float) -> None:
        self._worker = worker
        self._seconds = seconds
        self._relay = ImpairedRelay(seed=3)

    async def start(self) -> None:
        """Both join."""
        channel = connect(self._worker.address, self._worker.tokens())
        stub = service_pb2_grpc.SfuServiceStub(channel)
        address = await self._relay.start()

        async def join(user: str, offer: str) -> str:
            request = service_pb2.JoinRequest(join_token=self._worker.join_token(user, "impaired"), sdp_offer=offer)
            answer: service_pb2.JoinResponse = await stub.Join(request, timeout=10)
            return self._relay.reroute(answer.sdp_answer, address) if user == "ann" else answer.sdp_answer

        self._channel = channel
        self._browser = chromium.Browser(join)
        await self._browser.start()
        self._bob = await self._browser.open("bob")
        self._ann = await self._browser.open("ann")

    async def stop(self) -> None:
        """Ends all."""
        await self._browser.stop()
        await self._channel.close()
        self._relay.close()

    async def watch(self, condition: Condition, seconds: float) -> list[Sample]:
        """What ann sees under a condition."""
        self._relay.impair(condition, condition)
        return await self._sample(seconds)

    async def settle(self, condition: Condition) -> None:
        """Wait until the widest picture is there, a minute at most."""
        self._relay.impair(condition, condition)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            samples = await self._sample(1.0)
            if samples[-1].width >= WIDEST:
                return

    async def row(self, condition: Condition) -> dict[str, Any]:
        """One condition, from a good picture on."""
        await self.settle(Condition())
        before = await self._mos()
        samples = await self.watch(condition, self._seconds)
        row = row_of(samples)
        after = await self._mos()
        recovery = await self.watch(Condition(), 10.0)
        row["recovery_ms"] = time_to_ms(recovery, WIDEST, is_narrower=False)
        row["mos"] = _mean(before, after)
        return row

    async def rate_drop(self) -> dict[str, Any]:
        """From 2 Mbit/s to 300 kbit/s and back."""
        await self.settle(GOOD_RATE)
        before = await self._mos()
        width = (await self._sample(1.0))[-1].width
        low = await self.watch(POOR_RATE, self._seconds)
        after = await self._mos()
        high = await self.watch(GOOD_RATE, 2 * self._seconds)
        row = row_of(low)
        row["layer_switch_ms"] = time_to_ms(low, width, is_narrower=True)
        row["recovery_ms"] = time_to_ms(high, width, is_narrower=False)
        row["mos"] = _mean(before, after)
        return row

    async def _sample(self, seconds: float) -> list[Sample]:
        samples = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            report, other = await asyncio.gather(self._ann.evaluate("report()"), self._bob.evaluate("report()"))
            samples.append(sample_of(report, other, time.monotonic()))
            await asyncio.sleep(SAMPLE_S)
        return samples

    async def _mos(self) -> tuple[float, float]:
        """(sum, count) of the scores of downlinks so far."""
        async with aiohttp.ClientSession() as session, session.get(self._worker.metrics_url) as response:
            text = await response.text()
        found = {name: re.search(rf'sfu_mos_{name}{{leg="downlink"}} (\S+)', text) for name in ("sum", "count")}
        return tuple(float(match[1]) if match else 0.0 for match in found.values())  # type: ignore[return-value]


def _mean(before: tuple[float, float], after: tuple[float, float]) -> float | None:
    count = after[1] - before[1]
    return round((after[0] - before[0]) / count, 2) if count else None


async def main() -> int:
    """Runs all conditions. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.impaired", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="each condition (default 20)")
    parser.add_argument("--only", nargs="*", default=None, help=f"of {', '.join(CONDITIONS)}, rate_drop")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON report goes")
    arguments = parser.parse_args()
    if chromium.find() is None:
        print("Chromium is not installed", file=sys.stderr)
        return 1
    rows: dict[str, Any] = {}
    async with run_worker(LOG) as worker:
        watching = Watching(worker, arguments.seconds)
        await watching.start()
        for name in arguments.only or [*CONDITIONS, "rate_drop"]:
            rows[name] = await (watching.rate_drop() if name == "rate_drop" else watching.row(CONDITIONS[name]))
            rows[name]["load_average"] = os.getloadavg()[0]
            print(f"{name}: {json.dumps(rows[name])}", file=sys.stderr, flush=True)
        await watching.stop()
    report = write_report(arguments.report, "impaired", {"rows": rows})
    print(json.dumps(report), flush=True)
    return 0


if __name__ == "__main__":
    run_scenario(main)
