"""How the chart is made, without Helm: where values are put, what is escaped, what is refused.

test_helm.py renders it.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from deploy.documents import read_yaml
from deploy.helm import templating
from deploy.helm.places import ChartError, Entry, Field, Text, replace_text
from deploy.helm.values import COUNT, HOST, TEXT, Value, images, sizes
from deploy.helm.writing import schema_text, values_text
from deploy.k8s.objects import Object

DIGEST = "sha256:" + "0" * 64


def deployment(name: str = "web", image: str = f"registry.example.com/parley/web@{DIGEST}") -> Object:
    container = {"name": name, "image": image, "resources": {"requests": {"cpu": "50m"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "parley"},
        "spec": {"replicas": 2, "template": {"metadata": {}, "spec": {"containers": [container]}}},
    }


def config(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "parley"}, "data": data}


def made(objects: list[Object], *values: Value) -> str:
    """The objects' templates, one after the other."""
    found, expressions, _ = templating.templated(objects, list(values))
    return "---\n".join(templating.text(item, expressions) for item in found)


def test_a_field_is_found_by_kind_name_and_namespace() -> None:
    objects = [deployment("web"), deployment("edge"), config(a="b")]
    at = ("spec", "replicas")
    assert len(list(Field("Deployment", at).found(objects))) == 2
    assert [holder["replicas"] for holder, _ in Field("Deployment", at, name="edge").found(objects)] == [2]
    assert not list(Field("Deployment", at, namespace="parley-media").found(objects))
    assert not list(Field("Deployment", ("spec", "template", "spec", "containers", 1, "image")).found(objects))


def test_an_entry_is_found_by_what_it_is_and_what_stands_beside_it() -> None:
    item = config()
    item["ports"] = [{"port": 7800, "endPort": 7801}, {"port": "7801"}, {"endPort": 7801, "protocol": "TCP"}]
    assert len(list(Entry("ConfigMap", "endPort", 7801).found([item]))) == 2
    assert len(list(Entry("ConfigMap", "endPort", 7801, ("protocol", "TCP")).found([item]))) == 1
    # A number is not the text that looks like it.
    assert not list(Entry("ConfigMap", "endPort", "7801").found([item]))
    assert not list(Entry("ConfigMap", "replicas", True).found([{**item, "replicas": 1}]))


def test_a_text_within_another_becomes_one_expression_and_the_longest_is_taken() -> None:
    objects = [config(url="turns:turn.example.com:443?50%", host="example.com", other="example.org")]
    put: list[str] = []

    def note(expression: str) -> str:
        put.append(expression)
        return "TOKEN"

    texts = {"example.com": ".Values.domain", "turn.example.com": ".Values.turn", "not.there": ".Values.none"}
    assert replace_text(objects, texts, note) == {"example.com", "turn.example.com"}
    assert objects[0]["data"] == {"url": "TOKEN", "host": "TOKEN", "other": "example.org"}
    assert put == ['printf "turns:%s:443?50%%" .Values.turn | toJson', ".Values.domain | toJson"]


def test_what_alerts_and_dashboards_have_in_braces_is_not_helms() -> None:
    text = made([config(title="{{ $labels.pod }} and {{{job}}}")])
    assert re.sub(r'\{\{ "\{\{" \}\}', "", text).count("{{") == 0
    # As Helm renders it: each such action is the braces.
    rendered = read_yaml(text.replace('{{ "{{" }}', "{{"))
    assert rendered["data"]["title"] == "{{ $labels.pod }} and {{{job}}}"


def test_a_value_stands_as_one_expression_that_renders_to_json() -> None:
    value = Value("replicas.web", "", COUNT, (Field("Deployment", ("spec", "replicas")),))
    text = made([deployment()], value)
    assert "  replicas: {{ .Values.replicas.web | toJson }}\n" in text
    everything = made([deployment()], Value("spec.web", "", TEXT, (Field("Deployment", ("spec",)),)))
    assert everything.endswith("spec: {{ .Values.spec.web | toJson }}\n")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Value("a", "", TEXT, (Field("Service", ("spec",)),)), "has no place"),
        (Value("a", "", TEXT, (Entry("Deployment", "replicas", 3),)), "has no place"),
        (Value("a", "", TEXT, (Text("not.there"),)), "nothing says"),
        (Value("a", "", TEXT), "has no default"),
        (Value("a", "", TEXT, (Field("Deployment", ("metadata", "name")),)), "is 'edge' and 'web'"),
    ],
)
def test_a_table_that_does_not_fit_the_manifests_is_refused(value: Value, words: str) -> None:
    with pytest.raises(ChartError, match=re.escape(words)):
        made([deployment("edge"), deployment("web")], value)


def test_images_have_a_registry_a_name_and_a_digest() -> None:
    two = [deployment(), deployment("edge", f"registry.example.com/envoyproxy/edge-config@{DIGEST}")]
    found = {value.path: value.default for value in images(two)}
    assert found == {
        "images.registry": "registry.example.com",
        "images.web.repository": "parley/web",
        "images.web.digest": DIGEST,
        "images.edgeConfig.repository": "envoyproxy/edge-config",
        "images.edgeConfig.digest": DIGEST,
    }


@pytest.mark.parametrize(
    "image", ["registry.example.com/parley/edge:1", "parley/edge", f"other.example.com/e@{DIGEST}"]
)
def test_an_image_without_a_digest_or_of_another_registry_is_refused(image: str) -> None:
    with pytest.raises(ChartError, match="not all images"):
        list(images([deployment(), deployment("edge", image)]))


def test_a_new_service_has_its_values_without_a_word() -> None:
    assert [value.path for value in sizes([deployment("push")])] == ["replicas.push", "resources.push"]


def test_values_and_schema_say_the_same() -> None:
    values = [
        Value("site.domain", "What clients connect to. " * 8, HOST),
        Value("sfu.workers", "", {"type": "integer"}),
        Value("sfu.more", "", {"type": "object"}),
    ]
    text = values_text(values, {"site.domain": "example.com", "sfu.workers": 2, "sfu.more": {"a": [1]}})
    assert read_yaml(text) == {"site": {"domain": "example.com"}, "sfu": {"workers": 2, "more": {"a": [1]}}}
    assert "  # What clients connect to." in text
    assert all(len(line) <= 120 for line in text.splitlines())
    schema: Any = json.loads(schema_text(values))
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["site", "sfu"]
    assert schema["properties"]["site"]["properties"]["domain"]["pattern"] == HOST["pattern"]
    assert schema["properties"]["sfu"]["required"] == ["workers", "more"]


def test_objects_are_not_changed_by_what_is_made_of_them() -> None:
    objects = [deployment()]
    before = copy.deepcopy(objects)
    made(objects, *sizes(objects), *images(objects))
    assert objects == before
