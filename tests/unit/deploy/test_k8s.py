"""The manifests' base fits together, and our own checks find what is seeded into it.

`make k8s-check` does the same for the rendered overlays, with Kubernetes' own schemas beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.k8s import fields, semantics, settings, topics
from deploy.k8s.objects import FOLDER, Object, find, load_base, pods
from deploy.k8s.secrets import SECRETS, manifests

BASE = load_base()


def findings(objects: list[Object]) -> Iterator[str]:
    for rule in (*semantics.RULES, *settings.RULES, fields.misfits):
        yield from rule(objects)


def get(objects: list[Object], kind: str, name: str, namespace: str = "parley") -> Any:
    found = find(objects, kind, namespace, name)
    assert found, f"{kind} {name}"
    return found


def pod(objects: list[Object], name: str = "messaging") -> Any:
    return get(objects, "Deployment", name)["spec"]["template"]


def container(objects: list[Object], name: str = "messaging") -> Any:
    return pod(objects, name)["spec"]["containers"][0]


def variable(objects: list[Object], service: str, name: str) -> Any:
    return next(entry for entry in container(objects, service)["env"] if entry["name"] == name)


def remove(objects: list[Object], kind: str, name: str, namespace: str = "parley") -> None:
    objects.remove(get(objects, kind, name, namespace))


def sfu(objects: list[Object]) -> Any:
    return get(objects, "StatefulSet", "sfu", "parley-media")["spec"]["template"]["spec"]


DEFECTS: dict[str, Callable[[list[Object]], Any]] = {
    "a pod's labels are not its workload's selector": lambda o: pod(o)["metadata"]["labels"].update(
        {"app.kubernetes.io/name": "messenger"}
    ),
    "a Service selects nobody": lambda o: get(o, "Service", "gateway")["spec"]["selector"].update(tier="edge"),
    "a Service's target port is not the pod's": lambda o: get(o, "Service", "web")["spec"]["ports"][0].update(
        targetPort="htp"
    ),
    "a probe asks a port that is not there": lambda o: container(o)["livenessProbe"]["grpc"].update(port=7001),
    "liveness depends on the stores": lambda o: container(o)["livenessProbe"]["grpc"].update(service="readiness"),
    "a probe is missing": lambda o: container(o, "web").pop("readinessProbe"),
    "a policy names a port of another pod": lambda o: get(o, "NetworkPolicy", "web")["spec"]["ingress"][0]["ports"][
        0
    ].update(port="https"),
    "a policy speaks of pods that are not there": lambda o: get(o, "NetworkPolicy", "presence")["spec"]["ingress"][0][
        "from"
    ][0]["podSelector"]["matchLabels"].update({"app.kubernetes.io/name": "gate"}),
    "no policy lets the gateway in": lambda o: remove(o, "NetworkPolicy", "presence"),
    "no policy lets signaling out": lambda o: get(o, "NetworkPolicy", "signaling")["spec"].pop("egress"),
    "a ConfigMap is missing": lambda o: remove(o, "ConfigMap", "parley-settings"),
    "a Secret is misspelt": lambda o: container(o)["envFrom"][1]["secretRef"].update(name="parley-key"),
    "a Secret's key is misspelt": lambda o: variable(o, "signaling", "PARLEY_JOIN_TOKEN_KEY")["valueFrom"][
        "secretKeyRef"
    ].update(key="token"),
    "a ServiceAccount is missing": lambda o: remove(o, "ServiceAccount", "signaling"),
    "a certificate's Secret has another name": lambda o: get(o, "Certificate", "edge")["spec"].update(
        secretName="edge-cert"
    ),
    "a volume is not there": lambda o: container(o, "edge")["volumeMounts"][0].update(name="configs"),
    "a quantity is none": lambda o: container(o)["resources"]["limits"].update(memory="64MiB"),
    "more is asked for than the limit": lambda o: container(o)["resources"]["requests"].update(memory="2Gi"),
    "there is no limit of memory": lambda o: container(o)["resources"].pop("limits"),
    "a service reads no such variable": lambda o: variable(o, "gateway", "PARLEY_DRAIN_SPREAD_S").update(
        name="PARLEY_DRAIN_SPREAD"
    ),
    "a shared setting is read by nobody": lambda o: get(o, "ConfigMap", "parley-settings")["data"].update(
        PARLEY_KAFKA_BROKERS="kafka:9092"
    ),
    "a required variable is missing": lambda o: container(o, "gateway")["env"].remove(
        variable(o, "gateway", "PARLEY_PRESENCE_ADDRESSES")
    ),
    "a value is out of its range": lambda o: variable(o, "gateway", "PARLEY_DRAIN_GRACE_S").update(value="2m"),
    "the edge reads no such value": lambda o: get(o, "ConfigMap", "parley-edge")["data"].update(PARLEY_EDGE_TLS="true"),
    "an address has another port than its Service": lambda o: variable(o, "gateway", "PARLEY_MESSAGING_ADDRESS").update(
        value="messaging:7001"
    ),
    "a variable refers to one that is not there": lambda o: variable(o, "messaging", "PARLEY_DATABASE_URL").update(
        value="postgresql://parley_messaging:$(PASSWORD)@parley-postgres-rw:5432/parley_messaging"
    ),
    "a database is not declared": lambda o: remove(o, "Database", "parley-presence"),
    "the pools are larger than the server": lambda o: get(o, "Cluster", "parley-postgres")["spec"]["postgresql"][
        "parameters"
    ].update(max_connections="50"),
    "a pod is killed before it has drained": lambda o: sfu(o).update(terminationGracePeriodSeconds=300),
    "a container may write to its root": lambda o: container(o)["securityContext"].update(readOnlyRootFilesystem=False),
    "a pod may run as root": lambda o: pod(o)["spec"]["securityContext"].pop("runAsNonRoot"),
    "a pod gets a token": lambda o: pod(o)["spec"].update(automountServiceAccountToken=True),
    "another port of the node is taken": lambda o: sfu(o)["containers"][0]["ports"][0].update(hostPort=7000),
    "an image is no target": lambda o: container(o).update(image="parley/messenger"),
    "a disruption budget is missing": lambda o: remove(o, "PodDisruptionBudget", "edge"),
    "a spread counts other pods": lambda o: pod(o)["spec"]["topologySpreadConstraints"][0]["labelSelector"][
        "matchLabels"
    ].update({"app.kubernetes.io/name": "presence"}),
    "an operator's object has a misspelt field": lambda o: get(o, "Kafka", "parley")["spec"]["kafka"].update(replica=3),
    "an operator's field has another type": lambda o: get(o, "Cluster", "parley-postgres")["spec"].update(
        instances="3"
    ),
    "an object is there twice": lambda o: o.append(get(o, "Service", "web")),
}


def test_the_base_has_no_finding() -> None:
    assert list(findings(BASE)) == []


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_seeded_defect_is_found(defect: str) -> None:
    objects = copy.deepcopy(BASE)
    DEFECTS[defect](objects)
    assert list(findings(objects))


def test_an_image_without_a_version_is_found_and_one_with_a_digest_is_not() -> None:
    objects = copy.deepcopy(BASE)
    assert len(list(semantics.pinned(objects))) > 5
    for item in pods(objects):
        for one in item.containers:
            one["image"] += "@sha256:" + "0" * 64
    assert not list(semantics.pinned(objects))


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("500m", 0.5), ("1Ki", 1024), ("1.5Gi", 1.5 * 2**30), ("1k", 1000)]
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, value: float) -> None:
    found = semantics.quantity(text)
    assert found is not None
    assert float(found) == value


@pytest.mark.parametrize("text", ["64MiB", "1 Gi", "", "-1", "1KB"])
def test_what_is_no_quantity_is_none(text: str) -> None:
    assert semantics.quantity(text) is None


def test_the_topics_in_kubernetes_are_the_declared_ones() -> None:
    assert (FOLDER / "base" / "topics.yaml").read_text() == topics.render(), "python -m deploy.k8s.topics writes it"


def test_secrets_for_dev_are_all_that_the_manifests_name_and_agree_over_namespaces() -> None:
    made: Any = {(item["metadata"]["namespace"], item["metadata"]["name"]): item["stringData"] for item in manifests()}  # type: ignore[index]
    assert {key: tuple(data) for key, data in made.items()} == SECRETS
    assert made["parley", "parley-join-tokens"] == made["parley-media", "parley-join-tokens"]
    assert made["parley", "parley-postgres-presence"]["username"] == "parley_presence"
    assert made["parley", "parley-keys"] != manifests()[0]["stringData"]
