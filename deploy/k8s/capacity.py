"""What the manifests ask of the nodes: quantities in every overlay, and whether one small node has room for all of dev.

A node takes a pod only while the requests of its pods fit; limits have no part in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from deploy.k8s.objects import Object, Pod, of_kind, pods, title

_QUANTITY = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<unit>m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}
_RESOURCES = ("cpu", "memory")
# What a Deployment does that does not say.
_DEFAULT_STEP = "25%"


@dataclass(frozen=True)
class Room:
    """What a node has for Parley and its stores: cores, and bytes of memory."""

    cpu: Decimal
    memory: Decimal


# The one node of dev: two cores and 8 GiB. 0.6 cores and 2 GiB of it are for the kubelet, the container runtime,
# kube-system (CoreDNS and a CNI ask for 100m each) and the operators (Strimzi's asks for 200m, Prometheus' for 100m).
# Raising it: pods of dev stay Pending beside them. Lowering it: stores must ask for less than they use.
SMALL_NODE = Room(cpu=Decimal("1.4"), memory=Decimal(6 * 2**30))


@dataclass(frozen=True)
class Demand:
    """What the pods of one object ask for together, at the most that there are of them."""

    name: str
    pods: int
    cpu: Decimal
    memory: Decimal


def quantities(objects: list[Object]) -> Iterator[str]:
    """Requests and a memory limit everywhere, in Kubernetes' own units, and no request above its limit."""
    for pod in pods(objects):
        for container in pod.containers:
            resources = container.get("resources", {})
            requests, limits = resources.get("requests", {}), resources.get("limits", {})
            where = f"{pod.name}: {container['name']}"
            if not {"cpu", "memory"} <= requests.keys() or "memory" not in limits:
                yield f"{where} lacks a request or a limit of memory"
            bad = [text for text in (*requests.values(), *limits.values()) if quantity(str(text)) is None]
            yield from (f"{where}: {text!r} is no quantity" for text in bad)
            if bad:
                continue
            for name in requests.keys() & limits.keys():
                if (quantity(str(requests[name])) or 0) > (quantity(str(limits[name])) or 0):
                    yield f"{where} asks for more {name} than its limit"


def quantity(text: str) -> Decimal | None:
    """The value of a Kubernetes quantity; None when it is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    return Decimal(found["number"]) * _UNITS[found["unit"] or ""]


def crowding(objects: list[Object], room: Room) -> Iterator[str]:
    """Everything fits on the one node: at its start with the Jobs, and while all Deployments change at once."""
    asked = list(demands(objects))
    for name, free in (("cpu", room.cpu), ("memory", room.memory)):
        total = sum((getattr(demand, name) for demand in asked), Decimal(0))
        if total > free:
            most = sorted(asked, key=lambda demand: getattr(demand, name), reverse=True)[:3]
            largest = ", ".join(f"{demand.name} {getattr(demand, name)}" for demand in most)
            yield f"all pods ask for {total} of {name}, and the node has {free}; the most: {largest}"


def standstill(objects: list[Object]) -> Iterator[str]:
    """No Deployment waits for a pod more before the one goes that it has: on a full node it waits for ever."""
    for item in of_kind(objects, "Deployment"):
        most = item["spec"].get("replicas", 1)
        if not _is_recreated(item) and _step(item, "maxUnavailable", most) == 0:
            yield f"{title(item)} keeps its pod, also one that is not ready, until the node has room for another"


def collisions(objects: list[Object]) -> Iterator[str]:
    """Two pods that ask for the same port of the node: the second stays Pending."""
    taken: dict[tuple[int, str], str] = {}
    for pod in pods(objects):
        wanted = {
            (port["hostPort"], port.get("protocol", "TCP"))
            for container in pod.containers
            for port in container.get("ports", [])
            if "hostPort" in port
        }
        if wanted and pod.owner["spec"].get("replicas", 1) > 1:
            yield f"{pod.name}: each of its pods asks for the ports {sorted(wanted)} of the one node"
        for port in sorted(wanted & taken.keys()):
            yield f"{pod.name} and {taken[port]} both ask for {port[1]} {port[0]} of the node"
        taken.update(dict.fromkeys(wanted, pod.name))


def refuge(objects: list[Object]) -> Iterator[str]:
    """A call can move: there is another media worker, in another pod, when one is replaced."""
    workers = [pod for pod in pods(objects) if pod.labels.get("app.kubernetes.io/name") == "sfu"]
    if sum(pod.owner["spec"].get("replicas", 1) for pod in workers) < 2:
        yield "there is one media worker's pod: calls end when it is replaced, and have nowhere to move"


def on_one_node(objects: list[Object], room: Room) -> Iterator[str]:
    """All that keeps an overlay of one node from starting, or from being changed."""
    yield from crowding(objects, room)
    for rule in (standstill, collisions, refuge):
        yield from rule(objects)


def demands(objects: list[Object]) -> Iterator[Demand]:
    """By object: workloads with the pods that a rollout adds, Jobs, and the operators' stores."""
    for pod in pods(objects):
        spec = pod.owner["spec"]
        count = int(spec.get("parallelism", 1)) if pod.owner["kind"] == "Job" else int(spec.get("replicas", 1))
        if pod.owner["kind"] == "Deployment" and not _is_recreated(pod.owner):
            count += _step(pod.owner, "maxSurge", count)
        yield _demand(pod.name, count, {name: _of_pod(pod, name) for name in _RESOURCES})
    for kind, number in (("KafkaNodePool", "replicas"), ("Cluster", "instances")):
        for item in of_kind(objects, kind):
            requests = item["spec"].get("resources", {}).get("requests", {})
            yield _demand(title(item), int(item["spec"][number]), {name: _asked(requests, name) for name in _RESOURCES})


def _demand(name: str, count: int, each: Mapping[str, Decimal]) -> Demand:
    return Demand(name, count, count * each["cpu"], count * each["memory"])


def _of_pod(pod: Pod, name: str) -> Decimal:
    """As the scheduler counts: init containers run one by one before the others, sidecars from their turn on."""
    beside, most = Decimal(0), Decimal(0)
    for container in pod.spec.get("initContainers", []):
        asked = _asked(container.get("resources", {}).get("requests", {}), name)
        most = max(most, beside + asked)
        if container.get("restartPolicy") == "Always":
            beside += asked
    running = sum((_asked(c.get("resources", {}).get("requests", {}), name) for c in pod.spec["containers"]), beside)
    return max(most, running)


def _asked(requests: Mapping[str, object], name: str) -> Decimal:
    return quantity(str(requests.get(name, 0))) or Decimal(0)


def _is_recreated(deployment: Object) -> bool:
    return bool(deployment["spec"].get("strategy", {}).get("type") == "Recreate")


def _step(deployment: Object, name: str, replicas: int) -> int:
    """maxSurge or maxUnavailable in pods: of a share the one is rounded up, the other down."""
    given = deployment["spec"].get("strategy", {}).get("rollingUpdate", {}).get(name, _DEFAULT_STEP)
    if isinstance(given, int):
        return given
    share = Decimal(str(given).rstrip("%")) * replicas / 100
    return ceil(share) if name == "maxSurge" else int(share)


RULES = (quantities,)
