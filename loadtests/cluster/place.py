"""The cluster that the steps work on, as an administrator and as a client outside see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from deploy.cluster.errors import ClusterError
from deploy.cluster.kubectl import Kubectl
from deploy.cluster.layout import EDGE_IP, Layout
from deploy.k8s.objects import Object
from loadtests.witnesses import Noticed, Witnesses, watching
from parley_client.client import Edge

NAMESPACES = ("parley", "parley-media")
# The label of Parley's own pods: the stand-ins have none.
OURS = "app.kubernetes.io/part-of=parley"
_STEP_S = 1.0


@dataclass(frozen=True)
class Workload:
    """A Deployment or a StatefulSet. `selector` is as kubectl takes it."""

    kind: str
    namespace: str
    name: str
    selector: str

    @property
    def reference(self) -> str:
        """As kubectl names it."""
        return f"{self.kind}/{self.name}"


@dataclass
class Outcome:
    """Of a step: figures by name, and what is wrong."""

    figures: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def note(self, name: str, figures: dict[str, float], say: Callable[[str], None]) -> None:
        """What was seen of one of several, by its name."""
        self.figures.setdefault("each", {})[name] = figures
        say(f"{name}: {figures}")


@dataclass(frozen=True)
class Place:
    """`objects` is what was applied. `say` takes lines of progress."""

    layout: Layout
    objects: list[Object]
    say: Callable[[str], None]
    edge: Edge

    @property
    def kubectl(self) -> Kubectl:
        """As its administrator."""
        return Kubectl(self.layout)

    async def workloads(self) -> list[Workload]:
        """Those of Parley, in the order of their names. Raises KubectlError."""
        found = []
        for namespace in NAMESPACES:
            for item in await self.kubectl.get("deployment,statefulset", "-n", namespace):
                labels = item["spec"]["template"]["metadata"]["labels"]
                if labels.get("app.kubernetes.io/part-of") == "parley":
                    found.append(workload_of(item))
        return sorted(found, key=lambda one: one.name)

    async def workload(self, name: str) -> Workload:
        """The one of this name. Raises ClusterError."""
        for one in await self.workloads():
            if one.name == name:
                return one
        raise ClusterError(f"there is no workload {name}")

    async def pods(self, workload: Workload) -> list[Object]:
        """Also those that are about to end. Raises KubectlError."""
        found: list[Object] = await self.kubectl.get("pod", "-n", workload.namespace, "-l", workload.selector)
        return found

    async def rolled_out(self, workload: Workload, within_s: int = 240) -> None:
        """All of its pods are new, and ready. Raises KubectlError."""
        words = ("rollout", "status", workload.reference, "-n", workload.namespace, f"--timeout={within_s}s")
        await self.kubectl.run(*words)

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], within_s: float) -> float:
        """How long it took, in seconds. Raises ClusterError."""
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(within_s):
                while not await holds():  # noqa: ASYNC110 - another process cannot set an event of ours
                    await asyncio.sleep(_STEP_S)
        except TimeoutError:
            raise ClusterError(f"{what}: not within {within_s:.0f} s") from None
        return round(time.monotonic() - began_s, 1)


def workload_of(item: Object) -> Workload:
    """From its object."""
    labels = item["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return Workload(item["kind"].lower(), item["metadata"]["namespace"], item["metadata"]["name"], selector)


def uids(pods: list[Object]) -> set[str]:
    """By which pods of one name are told apart."""
    return {item["metadata"]["uid"] for item in pods}


def restarts(pods: list[Object]) -> int:
    """Of all their containers."""
    return sum(int(one["restartCount"]) for item in pods for one in item["status"].get("containerStatuses", []))


@asynccontextmanager
async def judged(place: Place, outcome: Outcome, *, call: bool = True) -> AsyncIterator[Witnesses]:
    """Two talk (unless without a `call`) and two write for the length of the block; what was lost is an error."""
    noticed = Noticed(errors=outcome.errors)
    try:
        async with watching(place.edge, noticed, call=call) as witnesses:
            yield witnesses
    finally:
        outcome.figures |= {"messages": noticed.messages, "client_stalled_s": noticed.client_stalled_s}


async def find(layout: Layout, objects: list[Object], say: Callable[[str], None]) -> Place:
    """The cluster that is up. Raises KubectlError."""
    issuer = await Kubectl(layout).get("service", "issuer", "-n", "parley")
    edge = Edge(f"{EDGE_IP}:443", f"http://{issuer['spec']['clusterIP']}:8080", tls=True)
    return Place(layout, objects, say, edge)
