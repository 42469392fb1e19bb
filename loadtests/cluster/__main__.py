"""`python -m loadtests.cluster`: the steps of `make cluster-test`, in order. Report in build/reports/cluster.json.

Works on the cluster of `make cluster-up`, or brings one up and takes it down again. Progress goes to stderr; the last
line of stdout is one JSON object. Exit 1 when anything is missing, was lost or was left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from deploy.cluster import cluster, commands
from deploy.cluster.cluster import Cluster
from deploy.cluster.errors import ClusterError
from deploy.embedded.record import ROOT
from loadtests.cluster import broken, installed, reach, renewed, replacing
from loadtests.cluster.place import Outcome, Place, find
from loadtests.scenario import run as run_scenario
from loadtests.scenario import write_report
from parley_client.client import LoginError
from parley_client.media import MediaLostError
from parley_client.waiting import DeadlineMissedError

REPORT = ROOT / "build" / "reports" / "cluster.json"
# gRPC reads it once, when it is loaded: whom to believe.
_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
_EXPECTED = (
    *(ClusterError, DeadlineMissedError, MediaLostError, LoginError),
    *(grpc.aio.AioRpcError, OSError, TimeoutError, AssertionError),
)
Step = Callable[[Place, Outcome], Awaitable[None]]
STEPS: Mapping[str, Step] = {
    "applied": installed.applied,
    "used": installed.used,
    "reach": reach.reached,
    "replaced": replacing.replace_each,
    "killed": broken.killed,
    "misset": broken.misset,
    "migrated": broken.migrated,
    "renewed": renewed.renewed,
    "drained": broken.drained,
}


def say(text: str) -> None:
    """A line of progress."""
    print(f"cluster-test: {text}", file=sys.stderr, flush=True)


async def main(arguments: argparse.Namespace) -> int:
    """Returns the exit status."""
    report: dict[str, object] = {"ok": False}
    errors: list[str] = []
    report["errors"] = errors
    try:
        async with _standing(keep=arguments.keep, errors=errors) as place:
            for name in arguments.only.split(","):
                report[name] = await _step(name, place, errors)
    except ClusterError as error:
        errors.append(str(error))
    report["ok"] = not errors
    await asyncio.to_thread(write_report, REPORT, "cluster", report)
    for missing in errors:
        say(f"missing: {missing}")
    print(json.dumps(report), flush=True)
    return 1 if errors else 0


async def _step(name: str, place: Place, errors: list[str]) -> dict[str, object]:
    began_s = time.monotonic()
    say(f"{name} ...")
    outcome = Outcome()
    try:
        await STEPS[name](place, outcome)
    except _EXPECTED as error:
        outcome.errors.append(f"{type(error).__name__}: {error}"[:1000])
    took_s = round(time.monotonic() - began_s, 1)
    errors += [f"{name}: {line}" for line in outcome.errors]
    say(f"{name}: {len(outcome.errors)} errors, {took_s} s")
    for line in outcome.errors:
        say(f"  {line}")
    return {**outcome.figures, "step_s": took_s, "errors": outcome.errors}


@asynccontextmanager
async def _standing(*, keep: bool, errors: list[str]) -> AsyncIterator[Place]:
    """The one that is up, or one for the length of the block."""
    layout = commands.layout()
    is_up = layout.edge_ca.exists()
    up = Cluster(layout, say)
    try:
        if not is_up:
            await commands.up(policies=True)
        yield await find(layout, await asyncio.to_thread(cluster.render), say)
    finally:
        if not is_up and not keep:
            await up.down()
            errors += [f"left behind: {what}" for what in up.left_behind()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.cluster", description="Parley on a real Kubernetes.")
    parser.add_argument("--only", default=",".join(STEPS), help="which steps, in this order")
    parser.add_argument("--keep", action="store_true", help="leave a cluster of its own standing")
    given = parser.parse_args()
    if unknown := set(given.only.split(",")) - STEPS.keys():
        parser.error(f"there is no step {', '.join(sorted(unknown))}")
    return given


def _believe(authority: Path) -> None:
    """Begins once more as a process that believes it."""
    if os.environ.get(_ROOTS) != str(authority):
        os.environ[_ROOTS] = str(authority)
        os.execv(sys.executable, [sys.executable, "-m", "loadtests.cluster", *sys.argv[1:]])


if __name__ == "__main__":
    given = _arguments()
    _believe(commands.layout().edge_ca)
    run_scenario(lambda: main(given))
