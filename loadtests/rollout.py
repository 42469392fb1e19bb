"""`make k8s-run`: the overlay dev in podman; the demo against it; then each service is replaced under load.

Progress goes to stderr; the last line of stdout is one JSON object. Exit 1 when anything is missing or was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog

from deploy.embedded.errors import StartError
from deploy.embedded.record import ROOT
from deploy.k8s.check import render
from deploy.k8s.podman.cluster import SERVICES, Cluster
from loadtests import demo
from loadtests.observing.drill import Pair, pair
from loadtests.scenario import run as run_scenario
from parley_client.calls import ACTIVE
from parley_client.client import Edge
from parley_client.conversations import delivery_faults, order_differences
from parley_client.media import MediaLostError
from parley_client.session import Session
from parley_client.tracks import SourceOptions
from parley_client.waiting import DeadlineMissedError

log = structlog.get_logger()

FOLDER = ROOT / ".parley" / "k8s"
DEADLINE_S = 60.0
STALL_STEP_S = 0.25
# A worker gives up a device that is silent for 30 s, and signaling its call after another 60 s.
LONGEST_STALL_S = 20.0


def say(text: str) -> None:
    """A line of progress."""
    print(f"k8s-run: {text}", file=sys.stderr, flush=True)


class Rollout:
    """The steps, in order; `report` is the last line."""

    def __init__(self, cluster: Cluster, only: tuple[str, ...]) -> None:
        self._cluster = cluster
        self._only = only
        self.report: dict[str, Any] = {"ok": False}
        # By service.
        self.replaced: dict[str, dict[str, float]] = {}
        self.report["replaced"] = self.replaced
        self.errors: list[str] = []

    async def run(self) -> None:
        """All steps."""
        began_s = time.monotonic()
        await self._cluster.up()
        self.report["up_s"] = round(time.monotonic() - began_s, 1)
        result = await demo.run(self._edge(1), 40, 3.0, SourceOptions())
        self.report["demo"] = result.as_dict()
        self.errors += [f"demo: {error}" for error in result.errors]
        if not self.errors:
            await self.replace_each()
        self.report |= {"ok": not self.errors, "errors": self.errors, "seconds": round(time.monotonic() - began_s)}

    async def replace_each(self) -> None:
        """A new pod, ready, before the old one is told to end; meanwhile two talk and two write."""
        # Both edges' addresses, as a balancer in front would have them.
        edge = self._edge(1, 2)
        async with pair(edge, reconnects=True) as talkers, pair(edge) as writers:
            await self._begin_call(talkers)
            acknowledged: list[tuple[str, int]] = []
            async with _running(writers.write(acknowledged, retry=True)), _running(self._note_stalls()):
                for name in self._only:
                    await self._replace(name, talkers)
                    say(f"{len(acknowledged)} messages so far")
            self.report["messages"] = len(acknowledged)
            self._judge_returns(talkers)
            await self._compare(writers, acknowledged)
            await talkers.hang_up()

    async def _replace(self, name: str, talkers: Pair) -> None:
        began_s = time.monotonic()
        _gap_s(talkers)
        await self._cluster.start(name, 2)
        await self._cluster.stop(name, 1)
        took_s = round(time.monotonic() - began_s, 1)
        await self._still_talks(talkers, name)
        phones = [one.phone for one in (talkers.caller, talkers.callee)]
        self.replaced[name] = {
            "seconds": took_s,
            "longest_gap_of_the_call_s": _gap_s(talkers),
            # So far in this call: how often it went to another worker, and how often a side had to join anew by itself.
            "moves": phones[0].media_epoch,
            "returns": sum(phone.reconnections for phone in phones),
        }
        say(f"{name}: {self.replaced[name]}")

    def _judge_returns(self, talkers: Pair) -> None:
        """A replacement in order cuts no connection: only devices that stood still themselves have to join anew."""
        returns = sum(one.phone.reconnections for one in (talkers.caller, talkers.callee))
        if returns and not self.stood_still:
            self.errors.append(f"{returns} connections of the call were cut, and joined anew")

    @property
    def stood_still(self) -> bool:
        """Whether this process, which plays the devices, was silent for so long that others had to give it up."""
        return bool(self.report.get("client_stalled_s", 0.0) > LONGEST_STALL_S)

    async def _note_stalls(self) -> None:
        """How long this process, which plays the devices, stood still: what the call missed then nobody else caused."""
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(STALL_STEP_S)
            stalled_s = time.monotonic() - before_s - STALL_STEP_S
            self.report["client_stalled_s"] = max(self.report.get("client_stalled_s", 0.0), round(stalled_s, 1))

    async def _begin_call(self, people: Pair) -> None:
        await people.caller.phone.start(people.conversation_id)
        ring = await people.callee.phone.until_ring(DEADLINE_S, people.conversation_id)
        await people.callee.phone.accept(ring.call_id)
        for one in (people.caller, people.callee):
            await one.phone.join_media()
        for one in (people.caller, people.callee):
            await one.phone.media.until_media(DEADLINE_S)

    async def _still_talks(self, people: Pair, name: str) -> None:
        """Each side hears a second more of the other, in the same call."""
        for one in (people.caller, people.callee):
            await _until_heard(one, f"a second of sound after {name} was replaced")
            if one.phone.state != ACTIVE:
                self.errors.append(f"after {name} was replaced the call is not active")

    async def _compare(self, people: Pair, acknowledged: list[tuple[str, int]]) -> None:
        """Whatever was acknowledged stands once, in one order, at both."""
        last = acknowledged[-1][1]
        for one in (people.caller, people.callee):
            history = one.history(people.conversation_id)
            await one.stream.until(lambda h=history: h.cursor >= last, DEADLINE_S, f"message {last} at {one.user_id}")  # type: ignore[misc]
        ours, theirs = (one.history(people.conversation_id) for one in (people.caller, people.callee))
        self.errors += delivery_faults(ours, acknowledged) + delivery_faults(theirs, acknowledged)
        self.errors += order_differences(ours, theirs)

    def _edge(self, *replicas: int) -> Edge:
        addresses = [f"{self._cluster.future_address('edge', replica)}:8443" for replica in replicas]
        return Edge(f"ipv4:{','.join(addresses)}", f"http://{self._cluster.address('issuer')}:8080")


async def _until_heard(one: Session, what: str) -> None:
    """A second more of the other side, on this connection or on the one that takes its place."""
    while True:
        media = one.phone.media
        goal_ms = media.tone_ms_decoded + 1000
        try:
            return await media.until(lambda: media.tone_ms_decoded > goal_ms, DEADLINE_S, what)  # noqa: B023
        except MediaLostError:
            log.warning("media_lost", device=one.device.device_id)
        await one.stream.until(lambda: one.phone.media is not media, DEADLINE_S, f"{what}: a new connection")  # noqa: B023


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on for the length of the block; what broke it is raised."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _gap_s(people: Pair) -> float:
    """The longest time in which either heard nothing of the other since it was last asked."""
    tones = [one.phone.continuity.tone for one in (people.caller, people.callee)]
    longest_s = max(tone.longest_gap_s for tone in tones)
    for tone in tones:
        tone.longest_gap_s = 0.0
    return round(longest_s, 2)


async def main(arguments: argparse.Namespace) -> int:
    """Returns the exit status."""
    cluster = Cluster(await asyncio.to_thread(render, "dev"), FOLDER, say)
    rollout = Rollout(cluster, tuple(arguments.only.split(",")))
    try:
        await rollout.run()
    except (StartError, DeadlineMissedError, MediaLostError, OSError, grpc.aio.AioRpcError) as error:
        rollout.errors.append(f"{type(error).__name__}: {error}"[:500])
        if rollout.stood_still:
            rollout.errors.append("the cause may be this process, which plays the devices: see client_stalled_s")
        rollout.report["errors"] = rollout.errors
    finally:
        if not arguments.keep:
            await cluster.down()
            rollout.errors += [f"left behind: {what}" for what in await cluster.left_behind()]
            rollout.report |= {"ok": not rollout.errors, "errors": rollout.errors}
    for missing in rollout.errors:
        say(f"missing: {missing}")
    print(json.dumps(rollout.report), flush=True)
    return 1 if rollout.errors else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.rollout", description=__doc__)
    parser.add_argument("--only", default=",".join(SERVICES), help="which services are replaced, in this order")
    parser.add_argument("--keep", action="store_true", help="leave the pods running")
    return parser.parse_args()


if __name__ == "__main__":
    run_scenario(lambda: main(_arguments()))
