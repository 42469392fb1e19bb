"""Whether a real API server takes every overlay: `kubectl apply --dry-run=server`, strictly, and without a warning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from deploy.cluster import cluster
from deploy.cluster.cluster import NAMESPACES, Cluster
from deploy.cluster.kubectl import Kubectl, Result, listed
from deploy.k8s.check import VARIANTS, render
from deploy.k8s.objects import Object, namespace_of

# Of what stands in the way, the first lines: the rest are often the same.
_SHOWN = 20
_TAKEN = "(server dry run)"
# The overlay of a cluster of this machine, beside those of deploy.k8s.check.
OWN = "cluster"


def overlays() -> dict[str, list[Object]]:
    """All of them, rendered. Raises ClusterError or CalledProcessError."""
    return {name: render(name) for name in VARIANTS} | {OWN: cluster.render()}


def faults(result: Result, objects: Sequence[Object]) -> list[str]:
    """What the server said against it: errors, warnings, objects of which it said nothing."""
    errors = [line for line in result.err.splitlines() if line.strip()]
    taken = sum(line.endswith(_TAKEN) for line in result.out.splitlines())
    if taken != len(objects):
        errors.append(f"{taken} of {len(objects)} objects were taken")
    return errors[:_SHOWN]


async def try_all(up: Cluster, rendered: Mapping[str, list[Object]], real: Path, say: Callable[[str], None]) -> bool:
    """On an API server without objects: whether all are taken. Raises ClusterError."""
    every = [item for objects in rendered.values() for item in objects]
    made = await up.define(every, real)
    if made:
        say(f"no definitions of {', '.join(made)} in {real}: of these anything is taken")
    # Their own, and those in which operators are.
    await up.kubectl.run("apply", "-f", str(NAMESPACES))
    await up.kubectl.apply([*missing_namespaces(every)])
    is_good = True
    for name, objects in rendered.items():
        found = faults(await attempt(up.kubectl, objects), objects)
        for line in found:
            say(f"{name}: {line}")
        say(f"{name}: {len(objects)} objects, {len(found)} faults")
        is_good = is_good and not found
    return is_good


def missing_namespaces(objects: Sequence[Object]) -> Iterator[Object]:
    """Those in which objects are to stand, and that are none of the objects."""
    named = {namespace_of(item) for item in objects}
    made = {item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"}
    for name in sorted(named - made - {""}):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


async def attempt(kubectl: Kubectl, objects: Sequence[Object]) -> Result:
    """As an apply, but nothing is kept."""
    words = ("apply", "--dry-run=server", "--validate=strict", "-f", "-")
    return await kubectl.ask(*words, stdin=listed(objects))
