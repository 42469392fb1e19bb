"""The operators' objects against the operators' own schemas, where somebody has them, as a cluster with them has.

    kubectl get crd -o yaml > build/crds.yaml && make k8s-check CRDS=build/crds.yaml

No schema of an operator is kept here: those of the cluster that is meant are the right ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema

from deploy.documents import read_yamls
from deploy.k8s.fields import is_custom
from deploy.k8s.objects import Object, title

# By (apiVersion, kind): the schema, or None where the version is known and not served.
Schemas = Mapping[tuple[str, str], Object | None]
# What the schema of an object's first level need not say, since all objects have it.
_OF_ALL = ("apiVersion", "kind", "metadata")
# As JSON Schema has them.
_SAME = (
    *(
        "type",
        "enum",
        "pattern",
        "required",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("anyOf", "oneOf", "allOf", "not"),
)
# Of one object. Raising it: the first cause is harder to see. Lowering it: more runs until all are mended.
_SHOWN = 10


def load(path: Path) -> Schemas:
    """The schemas in a file, or in all files of a folder, as `kubectl get crd -o yaml` gives them or one by one."""
    found: dict[tuple[str, str], Object | None] = {}
    for file in sorted(path.glob("*.yaml")) if path.is_dir() else [path]:
        for definition in _definitions(read_yamls(file.read_text())):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"]) if version["served"] else None
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def misfits(objects: list[Object], schemas: Schemas) -> Iterator[str]:
    """What an API server with these definitions would refuse, prune, or not know."""
    for item in filter(is_custom, objects):
        key = (item["apiVersion"], item["kind"])
        schema = schemas.get(key)
        if schema is None:
            said = "is not served" if key in schemas else "is not known"
            yield f"{title(item)}: {item['apiVersion']} {item['kind']} {said} there"
            continue
        errors = sorted(
            jsonschema.Draft7Validator(schema).iter_errors(_without_nulls(item)), key=lambda e: list(e.path)
        )
        for error in errors[:_SHOWN]:
            path = ".".join(str(part) for part in error.path)
            yield f"{title(item)}: {path}: {error.message[:200]}"


def strict(schema: Object, *, is_first: bool = True) -> Object:
    """A structural schema (OpenAPI v3, as definitions have it) as JSON Schema in which unknown fields are wrong."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made: Object = {key: schema[key] for key in _SAME if key in schema}
    if "items" in schema:
        made["items"] = strict(schema["items"], is_first=False)
    more = schema.get("additionalProperties")
    if schema.get("type") == "object":
        known = {name: strict(inner, is_first=False) for name, inner in schema.get("properties", {}).items()}
        made["properties"] = {**known, **({key: {} for key in _OF_ALL} if is_first else {})}
        keeps = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource")
        made["additionalProperties"] = strict(more, is_first=False) if isinstance(more, dict) else bool(more or keeps)
    return {"anyOf": [{"type": "null"}, made]} if schema.get("nullable") else made


def _definitions(documents: Iterable[Any]) -> Iterator[Object]:
    for document in documents:
        yield from document["items"] if document["kind"].endswith("List") else [document]


def _without_nulls(value: Any) -> Any:
    """A null is as good as nothing to an API server, unless the schema says otherwise."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
