"""The chart's files, out of rendered objects. Pure.

Each object becomes a template of its own (templating.py).
"""

from __future__ import annotations

import copy
import re

from deploy.helm.templating import templated, text
from deploy.helm.values import SWITCHED, table
from deploy.helm.writing import schema_text, values_text
from deploy.k8s.objects import Object, namespace_of

# What holds data, and what it stands in: taken out of the release, not out of the cluster, when it is uninstalled.
KEPT = ("Namespace", "Kafka", "KafkaNodePool", "KafkaTopic", "Cluster", "Database")
KEEP = {"helm.sh/resource-policy": "keep"}
# A Job cannot be changed: each release's takes the place of the one before. Not at the first install, when there is no
# database yet: the services migrate at their start, under the same lock.
HOOK = {"helm.sh/hook": "pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation"}
STUN = "sfu.stunServer"


def files(objects: list[Object]) -> dict[str, str]:
    """The chart's generated files, by their paths in it. Raises ChartError."""
    values = table(objects)
    annotated = [_annotated(item) for item in objects]
    with_stun, expressions, defaults = templated(annotated, values)
    public, _, _ = templated([_on_public_nodes(item) for item in annotated], values, expressions)
    written = {
        "values.yaml": values_text(values, defaults),
        "values.schema.json": schema_text(values),
    }
    for item, other in zip(with_stun, public, strict=True):
        body = text(item, expressions)
        if (alternative := text(other, expressions)) != body:
            body = f"{{{{- if .Values.{STUN} }}}}\n{body}{{{{- else }}}}\n{alternative}{{{{- end }}}}\n"
        switch = _switch(item)
        if switch:
            body = f"{{{{- if .Values.{switch} }}}}\n{body}{{{{- end }}}}\n"
        written[f"templates/{_file_name(item)}"] = body
    return written


def _annotated(item: Object) -> Object:
    """What Helm is told of an object."""
    annotations = KEEP if item["kind"] in KEPT else HOOK if item["kind"] == "Job" else {}
    if not annotations:
        return item
    made = copy.deepcopy(item)
    made["metadata"].setdefault("annotations", {}).update(annotations)
    return made


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


def _switch(item: Object) -> str:
    kind, name = item["kind"], item["metadata"]["name"]
    return SWITCHED.get((kind, name)) or SWITCHED.get((kind, ""), "")


def _file_name(item: Object) -> str:
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", item["kind"]).lower()
    return f"{namespace_of(item) or 'cluster'}/{kind}-{item['metadata']['name']}.yaml"
