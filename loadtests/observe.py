"""`make observe-check`: a real Prometheus over the embedded stack: scrapes, rules, dashboards, and a fault drill.

Progress goes to stderr; the last line of stdout is one JSON object. Exit 1 when anything is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import grpc

from deploy.embedded.record import ROOT, StackRecord
from deploy.observability.queries import rules
from loadtests import demo
from loadtests.observing import drill, panels
from loadtests.observing.prometheus import Prometheus, running_prometheus
from loadtests.scenario import run as run_scenario
from loadtests.stacks import edge_of, own_stack
from parley_client.client import Edge
from parley_client.media import MediaLostError
from parley_client.tracks import SourceOptions
from parley_client.waiting import DeadlineMissedError

FOLDER = ROOT / "build" / "observability"
PICTURES = ROOT / "build" / "observability" / "pictures"
# Longer than the 5 s over which quality is measured, several times.
MEDIA_S = 12.0
FIRES_WITHIN_S = 60.0
# The slower of the two windows of a fast burn is half an hour, or that by the factor.
STOPS_WITHIN_S = 120.0


def say(text: str) -> None:
    """A line of progress."""
    print(f"observe: {text}", file=sys.stderr, flush=True)


class Check:
    """What is looked at, in order; `report` is the last line."""

    def __init__(self, record: StackRecord, prometheus: Prometheus, factor: int, pictures: Path) -> None:
        self._record = record
        self._edge: Edge = edge_of(record)
        self._prometheus = prometheus
        self._factor = factor
        self._pictures = pictures
        self._began_s = time.monotonic()
        self.report: dict[str, object] = {"ok": False, "factor": factor}
        self.errors: list[str] = []

    async def run(self, *, drills: bool) -> None:
        """All steps."""
        await self.look_at_rules()
        async with self._traffic():
            await self.look_at_dashboards()
            if drills:
                await self.break_each_objective()
        self.report |= {"ok": not self.errors, "errors": self.errors, "seconds": round(self._elapsed_s())}

    def gave_up(self, error: Exception) -> None:
        """What was under way when the steps ended before their end."""
        self.errors.append(f"{type(error).__name__}: {error}"[:500])
        self.report |= {"errors": self.errors, "seconds": round(self._elapsed_s())}

    async def look_at_rules(self) -> None:
        """Every process is scraped, and every rule loads and is evaluated without an error."""
        async with asyncio.timeout(30):
            while not all((await self._prometheus.targets() or {"": False}).values()):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.5)
            while set((await self._prometheus.rules()).values()) != {"ok"}:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.5)
        found, wanted = await self._prometheus.rules(), {rule.get("alert") or rule["record"] for rule in rules()}
        self.errors += [f"the rule {name} was not loaded" for name in sorted(wanted - found.keys())]
        targets = sorted(await self._prometheus.targets())
        self.report |= {"targets": targets, "rules": len(found)}
        say(f"{len(targets)} targets answer, {len(found)} rules are evaluated")

    async def look_at_dashboards(self) -> None:
        """The demo's traffic shows on every panel, but for those that say why not."""
        source = SourceOptions(pictures_per_s=10)
        result = await demo.run(
            self._edge, 40, MEDIA_S, source, self._record.webhooks_file, self._record.push_providers_file
        )
        self.errors += [f"demo: {error}" for error in result.errors]
        # Two scrapes and an evaluation later all is there.
        await asyncio.sleep(4)
        drawn = await panels.draw(self._prometheus, self._elapsed_s())
        self.errors += panels.faults(drawn)
        self.report |= {"panels": len(drawn), "panels_without_data": panels.empty(drawn)}
        say(f"{len(drawn)} panels, without data: {len(panels.empty(drawn))}, missing: {panels.faults(drawn)}")

    async def break_each_objective(self) -> None:
        """Each fault sets off the alert of its objective, or of the edge, which then stops by itself."""
        faults: dict[str, Callable[[], Awaitable[None]]] = {
            "ParleyDeliveryBudgetBurnsFast": lambda: drill.stall_presence(self._record.pids),
            "ParleyCallSetupBudgetBurnsFast": lambda: drill.delay_media(self._edge, self._record.pids),
            "ParleyCallQualityBudgetBurnsFast": lambda: drill.degrade_network(self._edge),
            "ParleyEdgeErrors": lambda: drill.fail_page_requests(self._record.web_url),
        }
        before = await self._prometheus.firing()
        self.errors += [f"{alert} fires before its fault" for alert in sorted(before & faults.keys())]
        fired: dict[str, dict[str, float]] = {}
        stops = []
        for alert, fault in faults.items():
            began_s = time.monotonic()
            fires = await self._break_until(alert, fault)
            fired[alert] = {"fired_after_s": round(fires - began_s, 1)}
            say(f"{alert} fires")
            stops.append(self._stop_of(alert, time.monotonic(), fired[alert]))
        await asyncio.gather(*stops)
        self.report["alerts"] = fired
        seconds = self._elapsed_s()
        painted = panels.paint(await panels.draw(self._prometheus, seconds), self._pictures, seconds)
        self.report["pictures"] = [path.name for path in painted]

    async def _break_until(self, alert: str, fault: Callable[[], Awaitable[None]]) -> float:
        """The fault once, and again for as long as the alert does not fire; returns the clock's value when it did."""

        async def breaks() -> None:
            while True:
                await fault()
                if fires.done():
                    return

        fires = asyncio.create_task(self._until(alert, fires=True, within_s=FIRES_WITHIN_S * 30 / self._factor))
        breaking = asyncio.create_task(breaks())
        try:
            await asyncio.wait((fires, breaking), return_when=asyncio.FIRST_EXCEPTION)
            await breaking
            return await fires
        finally:
            for task in (fires, breaking):
                task.cancel()

    async def _stop_of(self, alert: str, fault_ended_s: float, times: dict[str, float]) -> None:
        stops = await self._until(alert, fires=False, within_s=STOPS_WITHIN_S * 30 / self._factor)
        times["stopped_after_s"] = round(max(0.0, stops - fault_ended_s), 1)
        say(f"{alert} has stopped")

    async def _until(self, alert: str, *, fires: bool, within_s: float) -> float:
        """The clock's value when it was so; the report has an error when it never was."""
        deadline_s = time.monotonic() + within_s
        while (alert in await self._prometheus.firing()) != fires:
            if time.monotonic() > deadline_s:
                self.errors.append(f"{alert} {'did not fire' if fires else 'still fires'} after {within_s:.0f} s")
                break
            await asyncio.sleep(0.5)
        return time.monotonic()

    @asynccontextmanager
    async def _traffic(self) -> AsyncIterator[None]:
        """Messages and calls that are well, for as long as the block."""
        async with drill.pair(self._edge) as writers, drill.pair(self._edge) as callers:

            async def call() -> None:
                while True:
                    await callers.call(1.0)

            tasks = [asyncio.create_task(writers.write()), asyncio.create_task(call())]
            try:
                yield
            finally:
                for task in tasks:
                    if task.done() and not task.cancelled() and task.exception():
                        say(f"traffic ended: {task.exception()!r}")
                    task.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await task

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s


async def main(arguments: argparse.Namespace) -> int:
    """Returns the exit status."""
    folder = FOLDER / f"factor-{arguments.factor}"
    async with own_stack(folder / "logs") as record:
        say(f"the stack runs at {record.edge_address}")
        async with running_prometheus(record, folder / "prometheus", arguments.factor) as prometheus:
            check = Check(record, prometheus, arguments.factor, arguments.pictures)
            try:
                await check.run(drills=not arguments.no_drills)
            except (
                DeadlineMissedError,
                MediaLostError,
                grpc.aio.AioRpcError,
                aiohttp.ClientError,
                TimeoutError,
            ) as error:
                check.gave_up(error)
    for fault in check.errors:
        say(f"missing: {fault}")
    print(json.dumps(check.report), flush=True)
    return 1 if check.errors else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.observe", description=__doc__)
    parser.add_argument("--factor", type=int, default=30, help="rules look back so many times less (default 30)")
    parser.add_argument("--no-drills", action="store_true", help="scrapes, rules and dashboards only")
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="where the dashboards' pictures go")
    return parser.parse_args()


if __name__ == "__main__":
    run_scenario(lambda: main(_arguments()))
