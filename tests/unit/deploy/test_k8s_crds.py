"""The operators' objects against definitions as a cluster gives them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.k8s import crds
from deploy.k8s.objects import Object

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "pattern": "^[0-9]+Gi$"},
        "count": {"type": "integer", "minimum": 1},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "closed": {"type": "object"},
        "perhaps": {"type": "string", "nullable": True},
        "list": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "disks.store.example"},
    "spec": {
        "group": "store.example",
        "names": {"kind": "Disk"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": SPEC, "metadata": {"type": "object"}},
                    }
                },
            },
            {"name": "v1beta1", "served": False, "schema": {"openAPIV3Schema": {"type": "object"}}},
        ],
    },
}


@pytest.fixture
def schemas(tmp_path: Path) -> crds.Schemas:
    (tmp_path / "disk.yaml").write_text(yaml.safe_dump(DEFINITION))
    return crds.load(tmp_path)


def disk(version: str = "v1", **spec: Any) -> Object:
    return {
        "apiVersion": f"store.example/{version}",
        "kind": "Disk",
        "metadata": {"name": "d", "namespace": "parley", "labels": {"a": "b"}},
        "spec": {"size": "5Gi", **spec},
    }


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"count": 3, "mode": "a"},
        {"port": 80},
        {"port": "http"},
        {"labels": {"any": "thing"}},
        {"anything": {"goes": [1, {"deep": None}]}},
        {"perhaps": None},
        # As an overlay takes a field away.
        {"count": None},
        {"list": [{"name": "x"}]},
    ],
)
def test_what_a_cluster_takes_has_no_finding(spec: Object, schemas: crds.Schemas) -> None:
    assert list(crds.misfits([disk(**spec)], schemas)) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"sice": "1Gi"}, "'sice' was unexpected"),
        ({"size": 5}, "spec.size"),
        ({"size": "5G"}, "spec.size"),
        ({"size": None}, "'size' is a required property"),
        ({"count": "3"}, "spec.count"),
        ({"count": 0}, "spec.count"),
        ({"mode": "c"}, "spec.mode"),
        ({"port": {"number": 80}}, "spec.port"),
        ({"labels": {"a": 1}}, "spec.labels.a"),
        ({"closed": {"a": 1}}, "spec.closed"),
        ({"perhaps": 1}, "spec.perhaps"),
        ({"list": [{"name": "x"}, {"nome": "y"}]}, "spec.list.1"),
    ],
)
def test_what_it_refuses_or_prunes_is_found(spec: Object, words: str, schemas: crds.Schemas) -> None:
    (found,) = crds.misfits([disk(**spec)], schemas)
    assert found.startswith("Disk/parley/d: ")
    assert words in found


def test_what_is_not_served_or_not_known_is_found(schemas: crds.Schemas) -> None:
    (found,) = crds.misfits([disk("v1beta1")], schemas)
    assert "is not served there" in found
    (found,) = crds.misfits([disk("v2")], schemas)
    assert "is not known there" in found


def test_kubernetes_own_objects_are_not_its_matter(schemas: crds.Schemas) -> None:
    objects = [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"no": "field"}}]
    assert list(crds.misfits(objects, schemas)) == []


def test_definitions_are_read_as_kubectl_lists_them(tmp_path: Path) -> None:
    other: Any = copy.deepcopy(DEFINITION)
    other["spec"]["names"]["kind"] = "Tape"
    file = tmp_path / "crds.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [DEFINITION, other]}))
    assert {kind for _, kind in crds.load(file)} == {"Disk", "Tape"}
