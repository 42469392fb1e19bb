"""Rendered manifests, and what is asked of them again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.documents import read_yaml, read_yamls
from deploy.k8s.secrets import SECRETS

Object = dict[str, Any]
FOLDER = Path(__file__).parent
WORKLOADS = ("Deployment", "StatefulSet", "Job")


@dataclass(frozen=True)
class Pod:
    """The pods of one workload."""

    owner: Object
    spec: Object
    labels: Mapping[str, str]
    namespace: str
    name: str

    @property
    def containers(self) -> list[Object]:
        """With the init containers."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    def port_names(self) -> dict[str, int]:
        """Container ports by name."""
        return {
            port["name"]: port["containerPort"] for container in self.containers for port in container.get("ports", [])
        }


def load_base() -> list[Object]:
    """The base as its files stand: it patches nothing, so that it can be read without Kustomize."""
    return _load(FOLDER / "base")


def _load(folder: Path) -> list[Object]:
    kustomization = read_yaml((folder / "kustomization.yaml").read_text())
    found: list[Object] = []
    for path in (folder / name for name in kustomization["resources"]):
        found += _load(path) if path.is_dir() else parse(path.read_text())
    return found


def parse(text: str) -> list[Object]:
    """All documents of a rendered text."""
    return read_yamls(text)


def namespace_of(item: Object) -> str:
    """Empty for what has none."""
    return str(item["metadata"].get("namespace", ""))


def title(item: Object) -> str:
    """How findings name it."""
    return "/".join(part for part in (item["kind"], namespace_of(item), item["metadata"]["name"]) if part)


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Those of the kinds."""
    return [item for item in objects if item["kind"] in kinds]


def find(objects: list[Object], kind: str, namespace: str, name: str) -> Object | None:
    """The one with this name."""
    for item in of_kind(objects, kind):
        if (namespace_of(item), item["metadata"]["name"]) == (namespace, name):
            return item
    return None


def pods(objects: list[Object]) -> list[Pod]:
    """The pods of all workloads."""
    found = []
    for item in of_kind(objects, *WORKLOADS):
        template = item["spec"]["template"]
        labels = template["metadata"].get("labels", {})
        found.append(Pod(item, template["spec"], labels, namespace_of(item), title(item)))
    return found


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector (matchLabels, and matchExpressions with In) selects these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", []))


def environment(objects: list[Object], pod: Pod, container: Object) -> tuple[dict[str, str], list[str]]:
    """The variables of a container, with `<secret>` values made up, and what they refer to in vain."""
    values: dict[str, str] = {}
    problems: list[str] = []
    for source in container.get("envFrom", []):
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if key in source:
                data = _data(objects, kind, pod.namespace, source[key]["name"])
                problems += [] if data is not None else [f"there is no {kind} {source[key]['name']}"]
                values.update(data or {})
    for entry in container.get("env", []):
        if "value" in entry:
            values[entry["name"]] = entry["value"]
            continue
        value, problem = _referred(objects, pod.namespace, entry["valueFrom"])
        values[entry["name"]] = value
        problems += [problem] if problem else []
    expanded = {name: _expand(value, values) for name, value in values.items()}
    problems += [f"{name} has an unknown $(...)" for name, value in expanded.items() if "$(" in value]
    return expanded, problems


def _referred(objects: list[Object], namespace: str, source: Object) -> tuple[str, str]:
    if "fieldRef" in source:
        return ("192.0.2.1" if source["fieldRef"]["fieldPath"].endswith("IP") else "pod-0"), ""
    kind, ref = (
        ("Secret", source["secretKeyRef"]) if "secretKeyRef" in source else ("ConfigMap", source["configMapKeyRef"])
    )
    data = _data(objects, kind, namespace, ref["name"])
    if data is None:
        return "", f"there is no {kind} {ref['name']}"
    return (data[ref["key"]], "") if ref["key"] in data else ("", f"{kind} {ref['name']} has no {ref['key']}")


def _data(objects: list[Object], kind: str, namespace: str, name: str) -> dict[str, str] | None:
    if kind == "Secret":
        keys = SECRETS.get((namespace, name))
        # 32 bytes in base64, which serves as a key, a password and a name.
        return None if keys is None else dict.fromkeys(keys, "c2VjcmV0" * 6)
    found = find(objects, kind, namespace, name)
    return None if found is None else dict(found["data"])


def _expand(value: str, values: Mapping[str, str]) -> str:
    for name, text in values.items():
        value = value.replace(f"$({name})", text)
    return value


def probes(container: Object) -> Iterator[tuple[str, Object]]:
    """The container's probes by name."""
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            yield name, container[name]
