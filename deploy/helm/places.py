"""Where a value stands in the rendered objects, and the template's expression that is put there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.k8s.objects import Object, namespace_of

Put = Callable[[str], str]


class ChartError(Exception):
    """The manifests are not as the table of values says."""


@dataclass(frozen=True)
class Field:
    """A field, with all below it, of the objects of a kind (and of a name, a namespace). `at` is keys and indexes."""

    kind: str
    at: tuple[str | int, ...]
    name: str = ""
    namespace: str = ""
    expression: str = ""

    def found(self, objects: list[Object]) -> Iterator[tuple[Any, str | int]]:
        """The containers of the field, with its key in each."""
        for item in objects:
            if item["kind"] != self.kind or self.name not in ("", item["metadata"]["name"]):
                continue
            if self.namespace not in ("", namespace_of(item)):
                continue
            holder: Any = item
            try:
                for step in self.at[:-1]:
                    holder = holder[step]
                holder[self.at[-1]]
            except (KeyError, IndexError):
                continue
            yield holder, self.at[-1]


@dataclass(frozen=True)
class Entry:
    """An entry of this value in any mapping of the objects of a kind, where another entry is as `beside` says."""

    kind: str
    key: str
    being: Any
    beside: tuple[str, Any] | None = None
    expression: str = ""

    def found(self, objects: list[Object]) -> Iterator[tuple[Any, str | int]]:
        """The mappings, with the key."""
        for item in objects:
            if item["kind"] == self.kind:
                for mapping in _mappings(item):
                    if self.beside is not None and mapping.get(self.beside[0]) != self.beside[1]:
                        continue
                    if type(mapping.get(self.key)) is type(self.being) and mapping[self.key] == self.being:
                        yield mapping, self.key


@dataclass(frozen=True)
class Text:
    """A text that stands for the value, alone or within others, in all objects."""

    placeholder: str
    expression: str = ""


Place = Field | Entry | Text


def replace_text(objects: list[Object], expressions: Mapping[str, str], put: Put) -> set[str]:
    """Put expressions in the place of texts, the longest first. Returns the texts that were found.

    A string that holds some of them becomes one expression as a whole: what it is in YAML is then JSON's to say.
    """
    if not expressions:
        return set()
    pattern = re.compile("|".join(re.escape(text) for text in sorted(expressions, key=len, reverse=True)))
    seen: set[str] = set()

    def replaced(text: str) -> str:
        parts = pattern.split(text)
        if len(parts) == 1:
            return text
        used = pattern.findall(text)
        seen.update(used)
        if parts == ["", ""]:
            return put(f"{expressions[used[0]]} | toJson")
        form = "%s".join(part.replace("%", "%%") for part in parts)
        return put(f"printf {json.dumps(form)} {' '.join(expressions[one] for one in used)} | toJson")

    for item in objects:
        _map_strings(item, replaced)
    return seen


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _mappings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _mappings(inner)


def _map_strings(value: Any, replaced: Callable[[str], str]) -> None:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(entries):
        if isinstance(inner, str):
            value[key] = replaced(inner)
        else:
            _map_strings(inner, replaced)
