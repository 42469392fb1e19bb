"""Who reaches whom while NetworkPolicies are enforced: tried from every pod to every port, against the table below.

The table is written by hand, from what each service is for, and not read from the policies: those may be wrong too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from deploy.cluster.layout import API_PORT, NODE_IP
from deploy.k8s.objects import Object
from loadtests.cluster.place import Outcome, Place

# A policy may answer with a refusal, or with silence.
_SILENCE_S = 3
# Until a new pod's policies are in force everywhere.
_SETTLED_WITHIN_S = 120.0
# Raising it: all wait for the same two cores, and silence is taken for a policy. Lowering it: it takes longer.
_AT_ONCE = 4
_STRANGER = "stranger"


@dataclass(frozen=True)
class Spot:
    """Where pods are found."""

    namespace: str
    selector: str


@dataclass(frozen=True)
class Target:
    """A port of a pod. Without a spot: of the node."""

    port: int
    spot: Spot | None


def _ours(name: str, namespace: str = "parley") -> Spot:
    return Spot(namespace, f"app.kubernetes.io/name={name}")


_POSTGRES, _KAFKA = Spot("parley", "cnpg.io/cluster=parley-postgres"), Spot("parley", "strimzi.io/cluster=parley")
_SFU, _COTURN = _ours("sfu", "parley-media"), _ours("coturn", "parley-media")
# Namespaces of the site, in which Parley has nothing.
_SITE = ("monitoring", "parley-admin", "parley-back-office")
STRANGE = ("default", *_SITE)
SOURCES: Mapping[str, Spot] = {
    **{name: _ours(name) for name in ("edge", "web", "gateway", "messaging", "presence", "signaling")},
    **{name: _ours(name) for name in ("webhooks", "push", "previews", "issuer", "objects")},
    "sfu": _SFU,
    "coturn": _COTURN,
    "postgres": _POSTGRES,
    "kafka": _KAFKA,
    # A pod among Parley's that no policy names.
    "nobody": Spot("parley", f"run={_STRANGER}"),
    **{name: Spot(name, f"run={_STRANGER}") for name in STRANGE},
}
TARGETS: Mapping[str, Target] = {
    "edge": Target(8443, SOURCES["edge"]),
    "web": Target(8080, SOURCES["web"]),
    **{
        name: Target(7000, SOURCES[name])
        for name in ("gateway", "messaging", "presence", "signaling", "push", "previews")
    },
    "messaging's admin": Target(7001, SOURCES["messaging"]),
    "presence's admin": Target(7001, SOURCES["presence"]),
    "gateway's metrics": Target(9100, SOURCES["gateway"]),
    "sfu's metrics": Target(9100, _SFU),
    "issuer": Target(8080, SOURCES["issuer"]),
    "postgres": Target(5432, _POSTGRES),
    "kafka": Target(9093, _KAFKA),
    # A worker for itself, as dev has it; where several share a pod these are 7001 and on.
    "sfu": Target(7000, _SFU),
    "sfu's media": Target(7800, Spot("parley-media", "app.kubernetes.io/name=sfu,app.kubernetes.io/instance=first")),
    "coturn": Target(3478, _COTURN),
    "the API server": Target(API_PORT, None),
}
_OPEN = {"edge", "issuer", "sfu's media", "coturn"}
_STORES = {"postgres", "kafka"}
# Everything else must not be reached. A pod reaches its own ports; what it says to itself is not asked.
ALLOWED: Mapping[str, set[str]] = {
    "edge": {"web", "gateway", "messaging", "signaling", "push", "previews", "issuer"},
    "web": {"issuer"},
    "gateway": {"presence", "messaging", "kafka", "issuer"},
    "messaging": {"presence", "signaling", "push", "issuer", *_STORES},
    "presence": {"issuer", *_STORES},
    "signaling": {"messaging", "presence", "sfu", "issuer", *_STORES},
    "webhooks": {"issuer", *_STORES},
    "push": {"messaging", "issuer", *_STORES},
    # Nothing else of the cluster, and of nothing outside but the internet.
    "previews": {"issuer"},
    "sfu": {"kafka"},
    "coturn": set(),
    # Their operators' agents speak to the API server.
    "postgres": {"the API server"},
    "kafka": {"the API server"},
    "issuer": set(),
    "objects": set(),
    "nobody": set(),
    "default": {*_OPEN, "the API server"},
    "monitoring": {*_OPEN, "the API server", "gateway's metrics", "sfu's metrics"},
    "parley-admin": {*_OPEN, "the API server", "messaging's admin", "presence's admin"},
    "parley-back-office": {*_OPEN, "the API server", "messaging's admin"},
}


async def reached(place: Place, outcome: Outcome) -> None:
    """Tries all ways, and compares. Raises ClusterError."""
    if not (place.layout.pids / "kube-router").exists():
        outcome.errors.append("nobody enforces policies on this cluster: it came up with --no-policies")
        return
    try:
        await _invite(place)
        found = await _until_settled(place)
    finally:
        for namespace in ("parley", "default"):
            await place.kubectl.run("delete", "pod", _STRANGER, "-n", namespace, "--now", "--ignore-not-found")
        await place.kubectl.run("delete", "namespace", *_SITE, "--ignore-not-found", "--wait=false")
    table = {source: sorted(name for name, is_open in row.items() if is_open) for source, row in found.items()}
    outcome.figures |= {"ways": sum(map(len, found.values())), "open": sum(map(len, table.values())), "table": table}
    outcome.errors += differences(found)


def differences(found: Mapping[str, Mapping[str, bool]]) -> Iterator[str]:
    """By source and target, whether it was reached: what is not as ALLOWED says."""
    for source, row in found.items():
        for target, is_open in row.items():
            if is_open != (target in ALLOWED[source]):
                yield f"{source} {'reaches' if is_open else 'does not reach'} {target}"


def script(addresses: Iterable[str]) -> str:
    """For bash: tries all `IP:port` at once, and prints those that it reached."""
    tries = (
        f"(timeout {_SILENCE_S} bash -c '</dev/tcp/{address.replace(':', '/')}' 2>/dev/null && echo {address}) &"
        for address in addresses
    )
    return f"{' '.join(tries)} wait"


async def _until_settled(place: Place) -> dict[str, dict[str, bool]]:
    """Once more while something differs: the policies of a new pod take a moment."""
    found: dict[str, dict[str, bool]] = {}
    try:
        async with asyncio.timeout(_SETTLED_WITHIN_S):
            while not found or [*differences(found)]:
                found = await _try_all(place)
    except TimeoutError:
        place.say("who reaches whom still differs from the table")
    return found


async def _try_all(place: Place) -> dict[str, dict[str, bool]]:
    addresses = {name: await _address(place, target) for name, target in TARGETS.items()}
    few = asyncio.Semaphore(_AT_ONCE)

    async def row(spot: Spot) -> dict[str, bool]:
        async with few:
            return await _try_from(place, spot, addresses)

    rows = await asyncio.gather(*(row(spot) for spot in SOURCES.values()))
    return dict(zip(SOURCES, rows, strict=True))


async def _try_from(place: Place, spot: Spot, addresses: Mapping[str, str]) -> dict[str, bool]:
    pod = await _pod(place, spot)
    own = f"{pod['status']['podIP']}:"
    asked = {name: address for name, address in addresses.items() if not address.startswith(own)}
    words = ("exec", "-n", spot.namespace, pod["metadata"]["name"], "-c", pod["spec"]["containers"][0]["name"])
    answered = set((await place.kubectl.run(*words, "--", "bash", "-c", script(asked.values()))).split())
    return {name: address in answered for name, address in asked.items()}


async def _address(place: Place, target: Target) -> str:
    if target.spot is None:
        return f"{NODE_IP}:{target.port}"
    return f"{(await _pod(place, target.spot))['status']['podIP']}:{target.port}"


async def _pod(place: Place, spot: Spot) -> Object:
    found: list[Object] = await place.kubectl.get("pod", "-n", spot.namespace, "-l", spot.selector)
    return next(item for item in found if "deletionTimestamp" not in item["metadata"])


async def _invite(place: Place) -> None:
    """A stranger in each namespace, ready."""
    named = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in _SITE]
    await place.kubectl.apply(named)
    for namespace in ("parley", *STRANGE):
        where = ("-n", namespace, "--timeout=90s")
        # A pod is of an account, which comes a moment after its namespace.
        await place.kubectl.run("wait", "--for=create", "serviceaccount/default", *where)
        metadata = {"name": _STRANGER, "namespace": namespace, "labels": {"run": _STRANGER}}
        await place.kubectl.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _SPEC}])
        await place.kubectl.run("wait", "--for=condition=Ready", f"pod/{_STRANGER}", *where)


_SPEC: Object = {
    "automountServiceAccountToken": False,
    "terminationGracePeriodSeconds": 1,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "containers": [
        {
            "name": "one",
            "image": "parley/messaging:dev",
            "command": ["sleep", "3600"],
            "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "128Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ],
}
