"""Manifests with values put in their places: objects in, templates out. Pure.

Where a value stands, there is one expression that renders to JSON, which is YAML whatever is in it; everything else is
the manifest's, with its braces escaped.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import yaml

from deploy.helm.places import ChartError, Text, replace_text
from deploy.helm.values import Value
from deploy.k8s.objects import Object

_TOKEN = re.compile(r"HelmExpression([0-9]+)X")


def templated(
    objects: list[Object], values: list[Value], expressions: list[str] | None = None
) -> tuple[list[Object], list[str], dict[str, Any]]:
    """The objects with tokens in place of values, the tokens' expressions, and the values' defaults.

    `expressions`: of a templating before, whose tokens are these too. Raises ChartError.
    """
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


def text(item: Object, expressions: list[str]) -> str:
    """The template of an object whose values are tokens."""
    dumped = yaml.dump(item, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)
    # What is in braces in alerts and dashboards is Prometheus' and Grafana's.
    escaped = dumped.replace("{{", '{{ "{{" }}')
    return _TOKEN.sub(lambda found: f"{{{{ {expressions[int(found[1])]} }}}}", escaped)


class _Dumper(yaml.SafeDumper):
    """Without anchors: what stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as the library calls it
        return True
