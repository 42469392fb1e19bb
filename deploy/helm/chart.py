"""The chart's files, out of rendered objects. Pure.

Each object becomes a template of its own. Where a value stands, there is one expression that renders to JSON, which is
YAML whatever is in it; everything else is the manifest's, with its braces escaped.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import yaml

from deploy.helm.places import ChartError, Text, replace_text
from deploy.helm.values import SWITCHED, Value, table
from deploy.helm.writing import schema_text, values_text
from deploy.k8s.objects import Object, namespace_of

# What holds data, and what it stands in: taken out of the release, not out of the cluster, when it is uninstalled.
KEPT = ("Namespace", "Kafka", "KafkaNodePool", "KafkaTopic", "Cluster", "Database")
KEEP = {"helm.sh/resource-policy": "keep"}
# A Job cannot be changed: each release's takes the place of the one before. Not at the first install, when there is no
# database yet: the services migrate at their start, under the same lock.
HOOK = {"helm.sh/hook": "pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation"}
STUN = "sfu.stunServer"
_TOKEN = re.compile(r"HelmExpression([0-9]+)X")


def files(objects: list[Object]) -> dict[str, str]:
    """The chart's generated files, by their paths in it. Raises ChartError."""
    values = table(objects)
    with_stun, expressions, defaults = _templated(objects, values)
    public, _, _ = _templated([_on_public_nodes(item) for item in objects], values, expressions)
    written = {
        "values.yaml": values_text(values, defaults),
        "values.schema.json": schema_text(values),
    }
    for item, other in zip(with_stun, public, strict=True):
        body = _text(item, expressions)
        if (alternative := _text(other, expressions)) != body:
            body = f"{{{{- if .Values.{STUN} }}}}\n{body}{{{{- else }}}}\n{alternative}{{{{- end }}}}\n"
        switch = _switch(item)
        if switch:
            body = f"{{{{- if .Values.{switch} }}}}\n{body}{{{{- end }}}}\n"
        written[f"templates/{_file_name(item)}"] = body
    return written


def _templated(
    objects: list[Object], values: list[Value], expressions: list[str] | None = None
) -> tuple[list[Object], list[str], dict[str, Any]]:
    """The objects with tokens in place of values, the tokens' expressions, and the values' defaults."""
    made = copy.deepcopy(objects)
    found: list[str] = [] if expressions is None else expressions
    # One token for one expression, so that what is the same stays the same.
    known = {expression: number for number, expression in enumerate(found)}

    def put(expression: str) -> str:
        if expression not in known:
            known[expression] = len(found)
            found.append(expression)
        return f"HelmExpression{known[expression]}X"

    defaults = {value.path: _place(value, made, put) for value in values}
    texts = {
        place.placeholder: place.expression or value.expression
        for value in values
        for place in value.places
        if isinstance(place, Text)
    }
    missing = texts.keys() - replace_text(made, texts, put)
    # Who is told no STUN server is the one alternative that lacks a text.
    if missing and expressions is None:
        raise ChartError(f"nothing says {sorted(missing)}")
    for item in made:
        annotations = KEEP if item["kind"] in KEPT else HOOK if item["kind"] == "Job" else {}
        if annotations:
            item["metadata"].setdefault("annotations", {}).update(annotations)
    return made, found, defaults


def _place(value: Value, objects: list[Object], put: Callable[[str], str]) -> Any:
    """Puts the value's expressions in its places; returns its default."""
    default = value.default
    for place in value.places:
        if isinstance(place, Text):
            default = place.placeholder if default is None else default
            continue
        found = list(place.found(objects))
        if not found:
            raise ChartError(f"{value.path} has no place: {place}")
        for holder, key in found:
            if default is None:
                default = copy.deepcopy(holder[key])
            elif not place.expression and holder[key] != default:
                raise ChartError(f"{value.path} is {default!r} and {holder[key]!r}")
            holder[key] = put(place.expression or f"{value.expression} | toJson")
    if default is None:
        raise ChartError(f"{value.path} has no default")
    return default


def _on_public_nodes(item: Object) -> Object:
    """The media workers without the look-up of their public address: it is their node's own."""
    if item["kind"] != "StatefulSet" or item["metadata"]["name"] != "sfu":
        return item
    made = copy.deepcopy(item)
    spec = made["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    del spec["initContainers"]
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] != "address"]
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] != "address"]
    container["env"] = [entry for entry in container["env"] if entry["name"] != "PARLEY_SFU_PUBLIC_IP_FILE"]
    node = {"name": "PARLEY_SFU_PUBLIC_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
    container["env"].append(node)
    return made


def _text(item: Object, expressions: list[str]) -> str:
    text = yaml.dump(item, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)
    # What is in braces in alerts and dashboards is Prometheus' and Grafana's.
    escaped = text.replace("{{", '{{ "{{" }}')
    return _TOKEN.sub(lambda found: f"{{{{ {expressions[int(found[1])]} }}}}", escaped)


class _Dumper(yaml.SafeDumper):
    """Without anchors: what stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as the library calls it
        return True


def _switch(item: Object) -> str:
    kind, name = item["kind"], item["metadata"]["name"]
    return SWITCHED.get((kind, name)) or SWITCHED.get((kind, ""), "")


def _file_name(item: Object) -> str:
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", item["kind"]).lower()
    return f"{namespace_of(item) or 'cluster'}/{kind}-{item['metadata']['name']}.yaml"
