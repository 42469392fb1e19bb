"""What `python -m deploy.cluster up|images|down|dry-run` does (make cluster-up and the others).

PARLEY_KUBE_BIN is the folder of its programs (deploy/cluster/binaries makes one), PARLEY_KUBE_CRDS one of the
definitions of the operators' kinds, as `kubectl get crd -o yaml` has them, where somebody has some.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from deploy.cluster import cluster, dry_run, images
from deploy.cluster.cluster import Cluster
from deploy.cluster.errors import ClusterError
from deploy.cluster.layout import Layout
from deploy.embedded.record import ROOT

_SMALL = "cluster-dry-run"


def layout(name: str = "cluster", *, cable: bool = True) -> Layout:
    """That of this machine."""
    work = (ROOT / ".parley").resolve()
    binaries = Path(os.environ.get("PARLEY_KUBE_BIN") or work / "kube")
    return Layout(work, binaries.resolve(), name, cable)


def definitions_folder() -> Path:
    """Where the operators' definitions may be."""
    return Path(os.environ.get("PARLEY_KUBE_CRDS", ROOT / ".parley" / "kube" / "crds"))


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"cluster: {text}\n")


async def up(*, policies: bool) -> int:
    """The cluster with Parley on it. Raises ClusterError; it stays as it is then, to be looked at."""
    began_s = time.monotonic()
    made = Cluster(layout(), say)
    objects = await asyncio.to_thread(cluster.render)
    try:
        await made.up(policies=policies)
        stand_ins = await made.define(objects, definitions_folder())
        if stand_ins:
            say(f"stand-ins define {', '.join(stand_ins)}")
        cluster_s = time.monotonic() - began_s
        await made.install(objects)
        await made.until_ready()
    except ClusterError:
        say("make cluster-down removes what stands there")
        raise
    say(f"the cluster was ready after {cluster_s:.0f} s, Parley {time.monotonic() - began_s - cluster_s:.0f} s later")
    say(f"KUBECONFIG={made.layout.kubeconfig()} {made.layout.program('kubectl')} get pods -A")
    return 0


async def bring() -> int:
    """What was built since is brought to the node; pods take it when they are replaced."""
    brought = await asyncio.to_thread(images.bring, layout())
    say(f"{len(brought)} images were new or changed: {', '.join(brought)}")
    return 0


async def down() -> int:
    """All gone."""
    made = Cluster(layout(), say)
    await made.down()
    left = made.left_behind()
    for what in left:
        say(f"left behind: {what}")
    return 1 if left else 0


async def try_overlays() -> int:
    """An API server, and what it says of every overlay."""
    rendered = await asyncio.to_thread(dry_run.overlays)
    made = Cluster(layout(_SMALL, cable=False), say)
    # Of a run that was killed.
    await made.down()
    try:
        await made.api_up()
        is_good = await dry_run.try_all(made, rendered, definitions_folder(), say)
    finally:
        await made.down()
    left = made.left_behind()
    for what in left:
        say(f"left behind: {what}")
    return 0 if is_good and not left else 1


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.cluster", description="A real Kubernetes on this machine.")
    parser.add_argument("what", choices=("up", "images", "down", "dry-run"))
    parser.add_argument("--no-policies", action="store_true", help="up: NetworkPolicies are not enforced")
    given = parser.parse_args(arguments)
    # To render the overlays: what the cluster has will do where this machine has none.
    os.environ["PATH"] = f"{os.environ['PATH']}:{os.environ.get('PARLEY_KUBE_BIN', '')}"
    try:
        ways: dict[str, Callable[[], Coroutine[Any, Any, int]]] = {
            "up": partial(up, policies=not given.no_policies),
            "images": bring,
            "down": down,
            "dry-run": try_overlays,
        }
        return asyncio.run(ways[given.what]())
    except (ClusterError, subprocess.CalledProcessError) as error:
        say(str(error))
        return 1
