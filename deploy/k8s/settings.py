"""Whether each service gets the variables that it reads, and finds behind them what it may speak to."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from deploy.envoy import values as edge
from deploy.k8s.objects import Object, Pod, environment, find, matches, namespace_of, of_kind, pods, title
from services.runtime.env import ConfigError, is_address

SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "previews", "sfu", "web")
# Files and folders of the running pod, which are stood in for.
_FILES = ("PARLEY_SFU_PUBLIC_IP_FILE", "PARLEY_WEB_ROOT")
# Whose tokens anybody gets without a password (deploy/embedded/issuer.py).
DEVELOPMENT_ISSUER = "dev-issuer.parley.invalid"


class _Recording(dict[str, str]):
    """An environment that remembers what was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        self.asked.add(key)
        return super().get(key, default)


def variables(objects: list[Object]) -> Iterator[str]:
    """A service's own config takes its environment, and reads each variable that was set for it alone."""
    shared: dict[tuple[str, str], set[str]] = {}
    for pod in pods(objects):
        for container in pod.containers:
            service = service_of(container)
            if service is None or "command" in container or "args" in container:
                continue
            env, _ = environment(objects, pod, container)
            read, problems = read_by(service, env)
            yield from (f"{pod.name}: {problem}" for problem in problems)
            for entry in container.get("env", []):
                name = entry["name"]
                if name.startswith("PARLEY_") and name not in read:
                    yield f"{pod.name}: {service} does not read {name}"
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    shared.setdefault((pod.namespace, source["configMapRef"]["name"]), set()).update(read)
    for (namespace, name), read in shared.items():
        config = find(objects, "ConfigMap", namespace, name) or {"data": {}}
        for key in config["data"].keys() - read:
            yield f"ConfigMap/{namespace}/{name}: nobody reads {key}"


def edge_values(objects: list[Object]) -> Iterator[str]:
    """The edge's template takes its ConfigMap, which says nothing else."""
    for config in of_kind(objects, "ConfigMap"):
        if config["metadata"]["name"] != "parley-edge":
            continue
        known = {f"PARLEY_EDGE_{field.upper()}" for field in edge.EdgeValues.__dataclass_fields__}
        yield from (f"{title(config)}: the edge does not read {key}" for key in config["data"].keys() - known)
        try:
            edge.template_values(edge.from_env(config["data"]))
        except edge.ValuesError as error:
            yield f"{title(config)}: {error}"


def for_development(objects: list[Object]) -> Iterator[str]:
    """What production must not have: the development issuer, whose tokens anybody gets, by its name, login or image."""
    for config in of_kind(objects, "ConfigMap"):
        for key, value in config.get("data", {}).items():
            if _is_for_development(key, value):
                yield f"{title(config)}: {key} is for development"
    for pod in pods(objects):
        for container in pod.containers:
            if any("deploy.embedded" in word for word in (*container.get("command", ()), *container.get("args", ()))):
                yield f"{pod.name}: {container['name']} is for development"
            if "stand-ins" in container.get("image", ""):
                yield f"{pod.name}: {container['image']} is for development"
            for entry in container.get("env", []):
                if _is_for_development(entry["name"], entry.get("value", "")):
                    yield f"{pod.name}: {entry['name']} is for development"


def _is_for_development(name: str, value: str) -> bool:
    if name == "PARLEY_EDGE_DEV_LOGIN":
        return value != "false"
    # Keys that come in clear text are whoever's stands in between.
    is_clear = name.endswith("JWKS_URL") and not value.lower().startswith("https://")
    return is_clear or DEVELOPMENT_ISSUER in value


def drains(objects: list[Object]) -> Iterator[str]:
    """Kubernetes waits for as long as a service may take to stop."""
    for pod in pods(objects):
        for container in pod.spec["containers"]:
            env, _ = environment(objects, pod, container)
            names = ("PARLEY_DRAIN_DELAY_S", "PARLEY_DRAIN_GRACE_S", "PARLEY_SFU_DRAIN_S")
            try:
                needed = sum(float(env.get(name, 0)) for name in names)
            except ValueError as error:
                yield f"{pod.name}: {error}"
                continue
            if needed > pod.spec.get("terminationGracePeriodSeconds", 30) - 5:
                yield f"{pod.name} is killed before it has drained ({needed:.0f} s and 5)"


def addresses(objects: list[Object]) -> Iterator[str]:
    """A `name:port` of ours is a Service with that port, and the policies let the pod in and out."""
    for pod in pods(objects):
        for container in pod.containers:
            env, _ = environment(objects, pod, container)
            for name, value in env.items():
                for address in _addresses(value):
                    yield from (f"{pod.name}: {name}: {finding}" for finding in _reach(objects, pod, address))


def databases(objects: list[Object]) -> Iterator[str]:
    """A database URL names a role, a database and a server that are declared; all pools fit into the server."""
    clusters = of_kind(objects, "Cluster")
    roles = {role["name"]: role for cluster in clusters for role in cluster["spec"]["managed"]["roles"]}
    declared = {item["spec"]["name"]: item["spec"]["owner"] for item in of_kind(objects, "Database")}
    hosts = {f"{cluster['metadata']['name']}-rw" for cluster in clusters}
    connections = 0
    for pod in pods(objects):
        for container in pod.containers:
            env, _ = environment(objects, pod, container)
            if "PARLEY_DATABASE_URL" not in env:
                continue
            url = urlsplit(env["PARLEY_DATABASE_URL"])
            if url.username not in roles or declared.get(url.path[1:]) != url.username or url.hostname not in hosts:
                yield f"{pod.name}: role, database or server of its URL is not declared"
            connections += _most(objects, pod) * int(env.get("PARLEY_DATABASE_POOL_SIZE", 8))
    allowed = min((int(c["spec"]["postgresql"]["parameters"]["max_connections"]) for c in clusters), default=0)
    if connections > allowed:
        yield f"PostgreSQL takes {allowed} connections, and the pools may hold {connections}"


def service_of(container: Object) -> str | None:
    """Which of ours the image is."""
    found = re.search(r"(?:^|/)parley/([^:@]+)", container["image"])
    return found[1] if found and found[1] in SERVICES else None


def read_by(service: str, env: Mapping[str, str]) -> tuple[set[str], list[str]]:
    """Which variables the service's own config asks for, and what it says is wrong with them."""
    with tempfile.TemporaryDirectory() as folder:
        stand_in = Path(folder) / "address"
        stand_in.write_text("192.0.2.1")
        (Path(folder) / "index.html").touch()
        files = dict(zip(_FILES, (str(stand_in), folder), strict=True))
        recording = _Recording({**env, **{name: path for name, path in files.items() if name in env}})
        try:
            import_module(f"services.{service}.config").Config.from_env(recording)
        except ConfigError as error:
            return recording.asked, error.problems
    return recording.asked, []


def _addresses(value: str) -> Iterator[tuple[str, int]]:
    for part in value.split(","):
        if part.startswith(("http://", "https://")):
            url = urlsplit(part)
            yield url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        elif is_address(part):
            host, _, port = part.rpartition(":")
            yield host, int(port)


def _reach(objects: list[Object], pod: Pod, address: tuple[str, int]) -> Iterator[str]:
    host, port = address
    if host in ("0.0.0.0", "localhost", "parley-kafka-bootstrap") or "." in host:  # noqa: S104
        return
    service = find(objects, "Service", pod.namespace, host)
    if service is None:
        yield f"there is no Service {host}"
        return
    if port not in [entry["port"] for entry in service["spec"]["ports"]]:
        yield f"the Service {host} has no port {port}"
    for other in pods(objects):
        if other.namespace == pod.namespace and matches({"matchLabels": service["spec"]["selector"]}, other.labels):
            if not _allowed(objects, other, pod, "ingress", "from"):
                yield f"no policy lets it in at {host}"
            if not _allowed(objects, pod, other, "egress", "to"):
                yield f"no policy lets it out to {host}"


def _allowed(objects: list[Object], at: Pod, other: Pod, direction: str, side: str) -> bool:
    for policy in of_kind(objects, "NetworkPolicy"):
        if namespace_of(policy) != at.namespace or not matches(policy["spec"]["podSelector"], at.labels):
            continue
        for rule in policy["spec"].get(direction, []):
            if side not in rule or any(
                matches(peer["podSelector"], other.labels) for peer in rule[side] if "podSelector" in peer
            ):
                return True
    return False


def _most(objects: list[Object], pod: Pod) -> int:
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] == pod.owner["metadata"]["name"]:
            return int(scaler["spec"]["maxReplicas"])
    return int(pod.owner["spec"].get("replicas", 1))


RULES = (variables, edge_values, drains, addresses, databases)
