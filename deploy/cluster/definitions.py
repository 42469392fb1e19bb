"""The operators' kinds, as a cluster must know them before it takes an object of theirs. Pure, but for `load`.

Their real definitions where a folder has them (they are their projects' own, and not kept here); for the rest one that
takes everything, so that the objects stand there and say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from deploy.documents import read_yamls
from deploy.k8s.fields import is_custom
from deploy.k8s.objects import Object, namespace_of


def load(folder: Path) -> list[Object]:
    """The definitions in the files of a folder; none where there is no folder."""
    texts = [path.read_text() for path in sorted(folder.glob("*.yaml"))]
    found = [item for text in texts for item in read_yamls(text)]
    return [item for item in found if item["kind"] == "CustomResourceDefinition"]


def needed(objects: Sequence[Object], real: Iterable[Object]) -> tuple[list[Object], list[str]]:
    """The definitions for the objects, and the kinds of which only a stand-in is there."""
    given = {(item["spec"]["group"], item["spec"]["names"]["kind"]): item for item in real}
    custom = {_key(item): item for item in objects if is_custom(item)}
    made = {key: _anything(*key, custom[key]) for key in custom.keys() - given.keys()}
    used = [given.get(key) or made[key] for key in sorted(custom)]
    return used, sorted(kind for _, kind in made)


def _key(item: Object) -> tuple[str, str]:
    return item["apiVersion"].partition("/")[0], item["kind"]


def _anything(group: str, kind: str, example: Object) -> Object:
    plural = f"{kind.lower()}s"
    version = {
        "name": example["apiVersion"].partition("/")[2],
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced" if namespace_of(example) else "Cluster",
            "versions": [version],
        },
    }
