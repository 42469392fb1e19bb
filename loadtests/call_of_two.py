"""A call of two in Chromium: what its publisher sends and costs, old and new in turn, how soon a picture comes
back, and how far its sound is from it. The report is build/reports/call_of_two.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from parley.sfu.v1 import channel_pb2, service_pb2, service_pb2_grpc

from deploy.embedded.record import ROOT
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report
from loadtests.sfu_media import chromium
from loadtests.sfu_media.two_ways import TwoWays
from loadtests.sfu_media.worker import WorkerProcess, run_worker
from services.runtime.grpc.channels import connect

REPORT = ROOT / "build" / "reports" / "call_of_two.json"
LOG = ROOT / ".parley" / "bench-call-of-two.log"
# From the first picture on: until the best layer is there and the others are paused, and until the browser has brought
# sound and picture together, which it does in steps.
SETTLE_S = 20.0
# Pictures that are hidden and shown again, and how long nobody looks: longer than a layer is held.
RETURNS, HIDDEN_S = 5, 7.0
LATE_S = 0.3
WIDEST, SMALL = 1280, 320
_WAYS = {"neither": (0.0, 0.0), "picture": (0.0, LATE_S), "sound": (LATE_S, 0.0)}


class Two:
    """Ann publishes and bob watches, each in a browser of their own."""

    def __init__(self, ann: chromium.Page, bob: chromium.Page, pid: int) -> None:
        self.ann, self.bob, self._pid = ann, bob, pid

    async def seen(self, width: int) -> None:
        """Wait for a picture of this width, a minute at most."""
        async with asyncio.timeout(60):
            # A page is asked; there is no event for that here.
            while await self._width() < width:  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    async def sent(self, seconds: float) -> dict[str, float]:
        """Ann's way up in kbit/s, and what her browser takes of a core."""
        before, cpu_s = await self._sent_bytes(), cpu_seconds(self._pid)
        await asyncio.sleep(seconds)
        sent = await self._sent_bytes() - before
        return {
            "upstream_kbps": round(sent * 8 / seconds / 1000),
            "cpu": round((cpu_seconds(self._pid) - cpu_s) / seconds, 2),
        }

    async def layers(self) -> str:
        """Those that ann sends."""
        outbound = (await self.ann.evaluate("report()"))["outbound"]
        return "".join(rid for rid in "qhf" if outbound.get(rid, {}).get("active"))

    async def return_ms(self) -> float:
        """From bob's request to his first picture, after nothing was sent."""
        await self.bob.evaluate(f"say({_asked(hidden=True)})")
        await asyncio.sleep(HIDDEN_S)
        assert not await self.layers(), "nobody looks, and yet something is sent"
        return float(await self.bob.evaluate(f"timeToPicture({_asked(hidden=False)})"))

    async def skews_ms(self, seconds: float) -> list[float]:
        """By how much bob's picture is behind the sound, by what is played when."""
        found = []
        for _ in range(round(seconds / 0.5)):
            await asyncio.sleep(0.5)
            inbound = (await self.bob.evaluate("report()"))["inbound"].values()
            played = {line["kind"]: line.get("playedAt") for line in inbound}
            if played.get("audio") and played.get("video"):
                found.append(played["audio"] - played["video"])
        return found

    async def _width(self) -> int:
        inbound = (await self.bob.evaluate("report()"))["inbound"].values()
        return max((line.get("width") or 0 for line in inbound), default=0)

    async def _sent_bytes(self) -> int:
        return int((await self.ann.evaluate("report()"))["sent"])


def _asked(*, hidden: bool) -> list[int]:
    asked = channel_pb2.SetVideoSlots(hidden=hidden)
    return list(channel_pb2.ChannelMessage(set_video_slots=asked).SerializeToString())


def cpu_seconds(pid: int) -> float:
    """What a process and those below it have used so far."""
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        children.setdefault(int(fields[1]), []).append(number)
        used[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    total, left = 0.0, [pid]
    while left:
        number = left.pop()
        total += used.get(number, 0.0)
        left += children.get(number, [])
    return total


@asynccontextmanager
async def call(worker: WorkerProcess, name: str, *, follows: bool, relay: TwoWays | None = None) -> AsyncIterator[Two]:
    """A call; ann's way goes over the relay, if there is one, and then her picture is small: it is about time alone."""
    channel = connect(worker.address, worker.tokens())
    stub = service_pb2_grpc.SfuServiceStub(channel)
    if relay is not None:
        await relay.start()

    async def join(user: str, offer: str) -> str:
        request = service_pb2.JoinRequest(join_token=worker.join_token(user, name), sdp_offer=offer)
        answer: service_pb2.JoinResponse = await stub.Join(request, timeout=10)
        if user != "ann" or relay is None:
            return answer.sdp_answer
        return relay.between(offer, answer.sdp_answer)

    browsers = chromium.Browser(join), chromium.Browser(join)
    for browser in browsers:
        await browser.start()
    try:
        ann = await browsers[0].open("ann", "video/VP8" if relay else None, follows=follows)
        # His own picture is a small one.
        bob = await browsers[1].open("bob", "video/VP8")
        yield Two(ann, bob, browsers[0].pid)
    finally:
        for browser in browsers:
            await browser.stop()
        await channel.close()
        if relay is not None:
            relay.close()


async def main() -> int:
    """Runs all. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.call_of_two", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="each measurement (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="of old and new in turn (default 3)")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON report goes")
    arguments = parser.parse_args()
    if chromium.find() is None:
        print("Chromium is not installed", file=sys.stderr)
        return 1
    figures: dict[str, Any] = {"sent": {"old": [], "new": []}, "return_ms": [], "skew_ms": {}}
    async with run_worker(LOG) as worker:
        for number in range(arguments.rounds):
            for name in ("old", "new"):
                async with call(worker, f"{name}-{number}", follows=name == "new") as two:
                    await two.seen(WIDEST)
                    await asyncio.sleep(SETTLE_S)
                    row = {"layers": await two.layers(), **await two.sent(arguments.seconds)}
                    figures["sent"][name].append(row)
                    print(f"{name}: {json.dumps(row)}", file=sys.stderr, flush=True)
                    if name == "new" and number == arguments.rounds - 1:
                        figures["return_ms"] = [round(await two.return_ms()) for _ in range(RETURNS)]
        for way, delays in _WAYS.items():
            relay = TwoWays()
            relay.delay(*delays)
            async with call(worker, f"late-{way}", follows=True, relay=relay) as two:
                await two.seen(SMALL)
                await asyncio.sleep(SETTLE_S)
                skews = await two.skews_ms(arguments.seconds)
                row = {"median": round(statistics.median(skews)), "worst": round(max(map(abs, skews)))}
                figures["skew_ms"][way] = row
                print(f"{way} late: {json.dumps(row)}", file=sys.stderr, flush=True)
    print(json.dumps(write_report(arguments.report, "call_of_two", figures)), flush=True)
    return 0


if __name__ == "__main__":
    run_scenario(main)
