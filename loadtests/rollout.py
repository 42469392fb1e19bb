"""`make k8s-run`: the overlay dev in podman; the demo against it; then each service is replaced under load.

Progress goes to stderr; the last line of stdout is one JSON object. Exit 1 when anything is missing or was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Any

import grpc

from deploy.embedded.errors import StartError
from deploy.embedded.record import ROOT
from deploy.k8s.check import render
from deploy.k8s.podman.cluster import SERVICES, Cluster
from loadtests import demo
from loadtests.scenario import run as run_scenario
from loadtests.witnesses import Noticed, Witnesses, watching
from parley_client.client import Edge
from parley_client.media import MediaLostError
from parley_client.tracks import SourceOptions
from parley_client.waiting import DeadlineMissedError

FOLDER = ROOT / ".parley" / "k8s"


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
        self.noticed = Noticed()
        self.errors = self.noticed.errors

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
        try:
            async with watching(self._edge(1, 2), self.noticed) as witnesses:
                for name in self._only:
                    await self._replace(name, witnesses)
        finally:
            self.report["client_stalled_s"] = self.noticed.client_stalled_s
        self.report["messages"] = self.noticed.messages

    async def _replace(self, name: str, witnesses: Witnesses) -> None:
        began_s = time.monotonic()
        witnesses.begin()
        await self._cluster.start(name, 2)
        await self._cluster.stop(name, 1)
        took_s = round(time.monotonic() - began_s, 1)
        self.replaced[name] = {"seconds": took_s, **await witnesses.look(f"{name} was replaced")}
        say(f"{name}: {self.replaced[name]}")

    def _edge(self, *replicas: int) -> Edge:
        addresses = [f"{self._cluster.future_address('edge', replica)}:8443" for replica in replicas]
        return Edge(f"ipv4:{','.join(addresses)}", f"http://{self._cluster.address('issuer')}:8080")


async def main(arguments: argparse.Namespace) -> int:
    """Returns the exit status."""
    cluster = Cluster(await asyncio.to_thread(render, "dev"), FOLDER, say)
    rollout = Rollout(cluster, tuple(arguments.only.split(",")))
    try:
        await rollout.run()
    except (StartError, DeadlineMissedError, MediaLostError, OSError, grpc.aio.AioRpcError) as error:
        rollout.errors.append(f"{type(error).__name__}: {error}"[:500])
        if rollout.noticed.stood_still:
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
