"""values.yaml, with a comment for each value, and values.schema.json, by which Helm refuses what is misspelt."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from deploy.helm.values import Value

_HEAD = """\
# What a site says of itself. Made by `make helm`: the defaults are those of deploy/k8s/overlays/production, where
# example.com and 198.51.100.0/24 stand for the site and zeros for the images' digests, so that nothing runs before a
# release was chosen. Give your own in a file of your own: helm upgrade --install -f site.yaml
"""
_WIDTH = 110


def tree(values: Sequence[Value]) -> dict[str, Any]:
    """The values by the steps of their paths."""
    made: dict[str, Any] = {}
    for value in values:
        *steps, last = value.path.split(".")
        holder = made
        for step in steps:
            holder = holder.setdefault(step, {})
        holder[last] = value
    return made


def values_text(values: Sequence[Value], defaults: Mapping[str, Any]) -> str:
    """values.yaml."""
    return _HEAD + "".join(line + "\n" for line in _lines(tree(values), defaults, 0))


def schema_text(values: Sequence[Value]) -> str:
    """values.schema.json: nothing beside the values, and none of them taken away."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **_schema(tree(values))}
    # Helm's own, for a chart that is part of another.
    schema["properties"]["global"] = {"type": "object"}
    return json.dumps(schema, indent=2) + "\n"


def _lines(node: Mapping[str, Any], defaults: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for key, inner in node.items():
        if not isinstance(inner, Value):
            if depth == 0:
                yield ""
            yield f"{indent}{key}:"
            yield from _lines(inner, defaults, depth + 1)
            continue
        for line in textwrap.wrap(inner.about, _WIDTH - len(indent)):
            yield f"{indent}# {line}"
        text = yaml.safe_dump({key: defaults[inner.path]}, sort_keys=False, allow_unicode=True, width=10**9)
        yield from (indent + line for line in text.splitlines())


def _schema(node: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for key, inner in node.items():
        if isinstance(inner, Value):
            properties[key] = {**({"description": inner.about} if inner.about else {}), **inner.schema}
        else:
            properties[key] = _schema(inner)
    return {"type": "object", "additionalProperties": False, "required": list(node), "properties": properties}
