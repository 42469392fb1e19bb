"""A rendered workload as a pod that `podman kube play` runs: what podman lacks is resolved or left out. Pure.

Kept: images, commands, users, read-only roots, dropped capabilities, memory limits, emptyDirs, grace periods, and the
environment. Resolved: ConfigMaps, Secrets, `$(NAME)` and the pod's own fields, into plain values. Left out: probes and
preStop (whoever runs the pods asks and runs them), ports (podman would publish them on the host), accounts, spreading,
priorities, NetworkPolicies and Services; a Service's names become the pod's.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.k8s.objects import WORKLOADS, Object, namespace_of

REGISTRY = "localhost"
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_CONTAINER_FIELDS = ("name", "command", "args", "workingDir", "volumeMounts", "securityContext")
# Where the cluster writes what a Secret holds, a file for each key.
SECRET_FILES = Path("/run/parley-secrets")
_POD_FIELDS = ("securityContext", "volumes", "terminationGracePeriodSeconds")
# Podman 4.3 removes an init container of the other type while it may still run, and gives up then.
INIT_TYPE = {"io.podman.annotations.init.container.type": "always"}
# What only the broker that stands beside needs said, to whoever speaks to it.
BROKER_SETTINGS = ("PARLEY_KAFKA_IDEMPOTENT", "PARLEY_KAFKA_SESSION_TIMEOUT_MS", "PARLEY_KAFKA_FETCH_WAIT_MS")
# (namespace, name) → key → value.
Secrets = Mapping[tuple[str, str], Mapping[str, str]]


class TransformError(Exception):
    """The manifests refer to something that is not there, or need what podman cannot do."""


def workload(objects: Sequence[Object], name: str) -> Object:
    """The workload of that name. Raises TransformError."""
    for item in objects:
        if item["kind"] in WORKLOADS and item["metadata"]["name"] == name:
            return item
    raise TransformError(f"there is no workload {name}")


def names_of(objects: Sequence[Object], owner: Object) -> list[str]:
    """By which names others find its pods: those of its Services, alone and with the namespace."""
    labels = owner["spec"]["template"]["metadata"].get("labels", {})
    namespace = namespace_of(owner)
    found: list[str] = []
    for item in objects:
        selector = item.get("spec", {}).get("selector") if item["kind"] == "Service" else None
        if selector and namespace_of(item) == namespace and selector.items() <= labels.items():
            name = item["metadata"]["name"]
            found += [name, f"{name}.{namespace}"]
    return found


def pod(
    objects: Sequence[Object], owner: Object, name: str, ip: str, secrets: Secrets, over: Mapping[str, str]
) -> Object:
    """The pod `name` of a workload at an address. `over` replaces variables of the environment, or leaves them out if
    the value is empty. Secrets that it mounts are found in SECRET_FILES of this machine. Raises TransformError."""
    template = owner["spec"]["template"]
    given = template["spec"]
    fields = {"metadata.name": name, "status.podIP": ip, "status.hostIP": ip}
    resolve = _Environment(objects, namespace_of(owner), secrets, fields, over)
    spec: Object = {key: copy.deepcopy(given[key]) for key in _POD_FIELDS if key in given}
    spec["restartPolicy"] = _restart_policy(owner)
    spec["containers"] = [_container(item, resolve) for item in given["containers"]]
    if "initContainers" in given:
        spec["initContainers"] = [_container(item, resolve) for item in given["initContainers"]]
    _mount_secrets(spec, secrets, namespace_of(owner))
    _leave_out_secret_volumes(spec)
    _name_volumes_after(name, spec)
    labels = template["metadata"].get("labels", {})
    metadata = {"name": name, "labels": labels, "annotations": INIT_TYPE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _restart_policy(owner: Object) -> str:
    if owner["kind"] == "Job":
        return "Never"
    # Podman applies it to init containers too: "Always" would run one that has done its work again and again.
    return "OnFailure" if "initContainers" in owner["spec"]["template"]["spec"] else "Always"


def pre_stop(spec: Object) -> list[tuple[str, list[str]]]:
    """(container, command) of a pod's preStop hooks. Raises TransformError for one that is not a command."""
    hooks = {item["name"]: item["lifecycle"]["preStop"] for item in spec["containers"] if "lifecycle" in item}
    if any("exec" not in hook for hook in hooks.values()):
        raise TransformError("a preStop that is no command is not known here")
    return [(name, list(hook["exec"]["command"])) for name, hook in hooks.items()]


def _container(item: Object, resolve: _Environment) -> Object:
    kept = {key: copy.deepcopy(item[key]) for key in _CONTAINER_FIELDS if key in item}
    kept["image"] = f"{REGISTRY}/{item['image']}"
    kept["env"] = [{"name": name, "value": value} for name, value in resolve.of(item).items()]
    limits = item.get("resources", {}).get("limits", {})
    return {**kept, "resources": {"limits": copy.deepcopy(limits)}} if limits else kept


def _mount_secrets(spec: Object, secrets: Secrets, namespace: str) -> None:
    """Those that are known here: podman 4.3 plays no volume of a Secret."""
    for volume in spec.get("volumes", []):
        name = volume.get("secret", {}).get("secretName")
        if (namespace, name) in secrets:
            del volume["secret"]
            volume["hostPath"] = {"path": str(SECRET_FILES / namespace / name), "type": "Directory"}


def _leave_out_secret_volumes(spec: Object) -> None:
    """Certificates: nobody issues any here."""
    gone = {volume["name"] for volume in spec.get("volumes", []) if "secret" in volume}
    if not gone:
        return
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in gone]
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        mounts = container.get("volumeMounts", [])
        container["volumeMounts"] = [mount for mount in mounts if mount["name"] not in gone]


def _name_volumes_after(pod_name: str, spec: Object) -> None:
    """Podman makes an emptyDir a volume of its name: each pod needs its own, and whoever clears up must find it."""
    for volume in spec.get("volumes", []):
        volume["name"] = f"{pod_name}-{volume['name']}"
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        for mount in container.get("volumeMounts", []):
            mount["name"] = f"{pod_name}-{mount['name']}"


def _with_broker(found: Mapping[str, str]) -> Collection[str]:
    return BROKER_SETTINGS if "PARLEY_KAFKA_BOOTSTRAP" in found else ()


class _Environment:
    """A container's variables as values, as the kubelet would give them."""

    def __init__(
        self,
        objects: Sequence[Object],
        namespace: str,
        secrets: Secrets,
        fields: Mapping[str, str],
        over: Mapping[str, str],
    ) -> None:
        self._maps = {
            (namespace_of(item), item["metadata"]["name"]): item.get("data", {})
            for item in objects
            if item["kind"] == "ConfigMap"
        }
        self._namespace = namespace
        self._secrets = secrets
        self._fields = fields
        self._over = over

    def of(self, container: Object) -> dict[str, str]:
        """By name, in the order of their definition."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            found |= self._source(source)
        for item in container.get("env", []):
            found[item["name"]] = self._expand(self._value(item), found)
        # A container without a broker has no settings for one.
        over = {name: value for name, value in self._over.items() if name in found or name in _with_broker(found)}
        return {name: value for name, value in {**found, **over}.items() if value or name not in over}

    def _source(self, source: Object) -> Mapping[str, str]:
        if "configMapRef" in source:
            return self._look_up(self._maps, source["configMapRef"]["name"], "ConfigMap")
        return self._look_up(self._secrets, source["secretRef"]["name"], "Secret")

    def _value(self, item: Object) -> str:
        if "value" in item:
            return str(item["value"])
        source: Any = item.get("valueFrom", {})
        if "fieldRef" in source:
            path = source["fieldRef"]["fieldPath"]
            if path not in self._fields:
                raise TransformError(f"{item['name']}: the field {path} is not known here")
            return self._fields[path]
        kind, table, reference = (
            ("Secret", self._secrets, source["secretKeyRef"])
            if "secretKeyRef" in source
            else ("ConfigMap", self._maps, source["configMapKeyRef"])
        )
        data = self._look_up(table, reference["name"], kind)
        if reference["key"] not in data:
            raise TransformError(f"{kind} {reference['name']} has no key {reference['key']}")
        return data[reference["key"]]

    def _look_up(self, table: Mapping[tuple[str, str], Mapping[str, str]], name: str, kind: str) -> Mapping[str, str]:
        data = table.get((self._namespace, name))
        if data is None:
            raise TransformError(f"there is no {kind} {name} in {self._namespace}")
        return data

    @staticmethod
    def _expand(value: str, known: Mapping[str, str]) -> str:
        return _REFERENCE.sub(lambda found: known.get(found[1], found[0]), value)
