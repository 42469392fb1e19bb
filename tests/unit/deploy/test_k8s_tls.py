"""The component for mutual TLS fits the base, and our checks find what is seeded into it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from deploy.documents import read_yaml
from deploy.envoy.values import EdgeValues
from deploy.k8s import fields, semantics, settings, tls
from deploy.k8s.objects import FOLDER, Object, find, load_base, parse
from services.runtime.config import TlsConfig
from services.runtime.env import EnvReader

COMPONENT = FOLDER / "components" / "mutual-tls"
# By whom the services are called, and who calls them.
WORKLOADS = {
    **dict.fromkeys(
        ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "previews", "edge"),
        ("Deployment", "parley"),
    ),
    "sfu": ("StatefulSet", "parley-media"),
}


def read(name: str) -> list[Object]:
    return parse((COMPONENT / name).read_text())


def get(objects: list[Object], name: str, kind: str = "") -> Any:
    of, namespace = WORKLOADS[name]
    found = find(objects, kind or of, namespace, name)
    assert found, name
    return found


def spec(objects: list[Object], name: str) -> Any:
    return get(objects, name)["spec"]["template"]["spec"]


def setting(objects: list[Object], name: str = "parley-settings", namespace: str = "parley") -> Any:
    found = find(objects, "ConfigMap", namespace, name)
    assert found
    return found["data"]


def with_component() -> list[Object]:
    """The base as Kustomize would patch it, of which only `make k8s-check` is the proof."""
    objects = copy.deepcopy(load_base()) + read("authority.yaml") + read("certificates.yaml")
    for patch in read("settings.yaml"):
        setting(objects, patch["metadata"]["name"], patch["metadata"]["namespace"]).update(patch["data"])
    for patch in read("secrets.yaml"):
        target, added = spec(objects, patch["metadata"]["name"]), patch["spec"]["template"]["spec"]
        target["volumes"] += added["volumes"]
        (container,) = [one for one in target["containers"] if one["name"] == added["containers"][0]["name"]]
        container["volumeMounts"] += added["containers"][0]["volumeMounts"]
    for name in WORKLOADS.keys() - {"edge"}:
        for operation in read("probes.yaml")[0]:
            _apply(get(objects, name), operation)
    return objects


def _apply(target: Any, operation: Any) -> None:
    *path, last = operation["path"].strip("/").split("/")
    for step in path:
        target = target[int(step) if isinstance(target, list) else step]
    if last == "-":
        target.append(operation["value"])
    else:
        target[last] = operation["value"]


def findings(objects: list[Object]) -> list[str]:
    rules = (*semantics.RULES, *settings.RULES, *tls.RULES, fields.misfits)
    return [line for rule in rules for line in rule(objects)]


def certificate(objects: list[Object], name: str) -> Any:
    found = find(objects, "Certificate", WORKLOADS[name][1], f"tls-{name}")
    assert found
    return found["spec"]


def test_the_component_has_no_finding_and_is_for_all_who_speak_grpc() -> None:
    objects = with_component()
    assert findings(objects) == []
    for name in WORKLOADS.keys() - {"edge"}:
        config = TlsConfig.read(EnvReader(setting(objects, namespace=WORKLOADS[name][1])))
        assert config.is_on
        assert {volume.get("secret", {}).get("secretName") for volume in spec(objects, name)["volumes"]} >= {
            f"tls-{name}"
        }
    assert {f"PARLEY_EDGE_UPSTREAM_{file}_FILE" for file in ("CERTIFICATE", "KEY", "CA")} <= setting(
        objects, "parley-edge"
    ).keys()
    assert {"upstream_certificate_file", "upstream_ca_file"} <= EdgeValues.__dataclass_fields__.keys()


DEFECTS: dict[str, tuple[Callable[[list[Object]], object], str]] = {
    "a setting is missing": (lambda o: setting(o).pop("PARLEY_TLS_CA_FILE"), "PARLEY_TLS_CA_FILE is not set"),
    "the edge's setting is missing": (
        lambda o: setting(o, "parley-edge").pop("PARLEY_EDGE_UPSTREAM_KEY_FILE"),
        "go together",
    ),
    "a setting names another file": (
        lambda o: setting(o).update(PARLEY_TLS_KEY_FILE="/etc/parley/tls/key.pem"),
        "nothing mounts /etc/parley/tls/key.pem",
    ),
    "a Secret is mounted elsewhere": (
        lambda o: spec(o, "gateway")["containers"][0]["volumeMounts"][-1].update(mountPath="/etc/tls"),
        "nothing mounts",
    ),
    "the edge mounts no Secret": (lambda o: spec(o, "edge")["containers"][0]["volumeMounts"].pop(), "nothing mounts"),
    "a Secret is made by nobody": (
        lambda o: certificate(o, "sfu").update(secretName="sfu-tls"),
        "nobody makes the Secret tls-sfu",
    ),
    "a probe asks where it needs a certificate": (
        lambda o: spec(o, "sfu")["containers"][0]["livenessProbe"]["grpc"].update(port=7000),
        "livenessProbe asks port 7000, not 7200",
    ),
    "a policy opens the port for health": (
        lambda o: get(o, "gateway", "NetworkPolicy")["spec"]["ingress"][0]["ports"].append({"port": "health"}),
        "opens the port for health",
    ),
    "a public authority signs": (
        lambda o: certificate(o, "gateway")["issuerRef"].update(name="letsencrypt"),
        "letsencrypt is no authority of the services alone",
    ),
    "the root signs itself": (
        lambda o: certificate(o, "gateway")["issuerRef"].update(name="parley-services-root"),
        "no authority",
    ),
    "a certificate is not for a server": (
        lambda o: certificate(o, "messaging").update(usages=["client auth"]),
        "not for one server and client",
    ),
    "a service has the name of another": (
        lambda o: certificate(o, "gateway").update(dnsNames=["messaging"]),
        "gateway shows a certificate of ['messaging']",
    ),
    "a service mounts the certificate of another": (
        lambda o: spec(o, "gateway")["volumes"][-1]["secret"].update(secretName="tls-messaging"),
        "gateway shows a certificate of ['messaging']",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_seeded_defect_is_found_for_what_it_is(defect: str) -> None:
    objects = with_component()
    seed, words = DEFECTS[defect]
    seed(objects)
    found = findings(objects)
    assert any(words in line for line in found), found


def test_without_the_component_a_probe_at_the_health_port_is_found() -> None:
    objects = copy.deepcopy(load_base())
    spec(objects, "presence")["containers"][0]["readinessProbe"]["grpc"].update(port=7200)
    assert any("asks port 7200, not 7000" in line for line in tls.probe_ports(objects))


def test_production_lets_the_public_authority_sign_what_clients_see_and_nothing_else() -> None:
    overlay = read_yaml((FOLDER / "overlays" / "production" / "kustomization.yaml").read_text())
    targets = [patch["target"] for patch in overlay["patches"] if patch.get("target", {}).get("kind") == "Certificate"]
    assert targets == [{"kind": "Certificate", "name": "edge|turn"}]
