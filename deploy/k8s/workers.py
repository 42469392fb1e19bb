"""Signaling reaches every media worker where it announces itself, through the policies of both."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.k8s.objects import Object, Pod, environment, matches, namespace_of, of_kind, pods
from services.sfu.config import wanted_workers

_NAME = "app.kubernetes.io/name"


def reached_by_signaling(objects: list[Object]) -> Iterator[str]:
    """A worker for itself announces the pod's port; several in a pod announce those that follow (sfu/pod/config.py)."""
    found = pods(objects)
    callers = [pod for pod in found if pod.labels.get(_NAME) == "signaling"]
    for pod in found:
        if pod.labels.get(_NAME) == "sfu":
            for caller in callers:
                yield from _shut(objects, caller, pod)


def _shut(objects: list[Object], caller: Pod, worker: Pod) -> Iterator[str]:
    for port in _announced(objects, worker):
        if not _is_let(objects, worker, "ingress", "from", caller, port):
            yield f"no policy lets signaling in to {worker.name} at {port}"
        if not _is_let(objects, caller, "egress", "to", worker, port):
            yield f"no policy lets signaling out to {worker.name} at {port}"


def _announced(objects: list[Object], worker: Pod) -> list[int]:
    env, _ = environment(objects, worker, worker.spec["containers"][0])
    first, count = int(env["PARLEY_SFU_GRPC_ADVERTISED"].rpartition(":")[2]), wanted_workers(env)
    return [first] if count == 1 else [first + index + 1 for index in range(count)]


def _is_let(objects: list[Object], pod: Pod, way: str, side: str, other: Pod, port: int) -> bool:
    """Whether a policy of the pod's, this way, names the other and the port."""
    for policy in of_kind(objects, "NetworkPolicy"):
        if namespace_of(policy) != pod.namespace or not matches(policy["spec"]["podSelector"], pod.labels):
            continue
        for rule in policy["spec"].get(way, []):
            if _has(rule, port) and any(_is(peer, other, pod.namespace) for peer in rule.get(side, [])):
                return True
    return False


def _is(peer: Object, pod: Pod, namespace: str) -> bool:
    if "podSelector" not in peer:
        return False
    named = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", namespace)
    return bool(named == pod.namespace) and matches(peer["podSelector"], pod.labels)


def _has(rule: Object, port: int) -> bool:
    ports = [entry for entry in rule.get("ports", []) if isinstance(entry["port"], int)]
    return any(entry["port"] <= port <= entry.get("endPort", entry["port"]) for entry in ports)


RULES = (reached_by_signaling,)
