"""The manifests' base fits together, and our own checks find what is seeded into it.

`make k8s-check` does the same for the rendered overlays, with Kubernetes' own schemas beside it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from deploy.embedded.issuer import ISSUER
from deploy.k8s import capacity, fields, semantics, settings, stores, tls, topics
from deploy.k8s.objects import FOLDER, Object, find, load_base, pods
from deploy.k8s.secrets import SECRETS, manifests
from services.ops.core.topics import STAGES
from services.runtime.identity.callers import IDENTITIES
from services.runtime.identity.server_keys import read_servers

BASE = load_base()


def findings(objects: list[Object]) -> Iterator[str]:
    rules = (*semantics.RULES, *capacity.RULES, *settings.RULES, *stores.RULES, *tls.RULES, fields.misfits)
    for rule in rules:
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


def listener(objects: list[Object]) -> Any:
    return get(objects, "Kafka", "parley")["spec"]["kafka"]["listeners"][0]


def volume(objects: list[Object], service: str, name: str) -> Any:
    return next(entry for entry in pod(objects, service)["spec"]["volumes"] if entry["name"] == name)["secret"]


def rights(objects: list[Object], user: str) -> Any:
    return get(objects, "KafkaUser", user)["spec"]["authorization"]["acls"]


def common(objects: list[Object]) -> Any:
    return get(objects, "ConfigMap", "parley-settings")["data"]


def set_ssl(objects: list[Object], old: str, new: str) -> None:
    url = variable(objects, "messaging", "PARLEY_DATABASE_URL")
    assert old in url["value"]
    url["value"] = url["value"].replace(old, new)


# What a store's door must not be without, each with the words that tell it from the others.
STORE_DEFECTS: dict[str, tuple[Callable[[list[Object]], Any], str]] = {
    "the broker speaks in clear": (lambda o: listener(o).update(tls=False), "speaks in clear"),
    "the broker takes whoever comes": (lambda o: listener(o).pop("authentication"), "takes whoever comes"),
    "everybody may do everything": (
        lambda o: get(o, "Kafka", "parley")["spec"]["kafka"].pop("authorization"),
        "everybody may do everything",
    ),
    "nobody makes users": (
        lambda o: get(o, "Kafka", "parley")["spec"]["entityOperator"].pop("userOperator"),
        "nobody makes its users",
    ),
    "a service speaks in clear": (
        lambda o: [
            common(o).pop(name) for name in tuple(common(o)) if name.startswith("PARLEY_KAFKA_") and "BOOT" not in name
        ],
        "one and TLS do not go together",
    ),
    "a service knows the port of before": (
        lambda o: common(o).update(PARLEY_KAFKA_BOOTSTRAP="parley-kafka-bootstrap:9092"),
        "no listener at 9092",
    ),
    "a service shows the certificate of another": (
        lambda o: volume(o, "presence", "kafka-user").update(secretName="kafka-messaging"),
        "should be user.crt of the Secret kafka-presence",
    ),
    "a certificate is not mounted": (
        lambda o: container(o, "signaling")["volumeMounts"].pop(),
        "should be user.key of the Secret kafka-signaling",
    ),
    "a user is missing": (lambda o: remove(o, "KafkaUser", "kafka-messaging"), "nobody makes the Secret"),
    "the policy has the port of before": (
        lambda o: get(o, "NetworkPolicy", "presence")["spec"]["egress"][1]["ports"][0].update(port=9092),
        "out to {'strimzi.io/cluster': 'parley'} at 9093",
    ),
    "the listener does not let the workers in": (
        lambda o: listener(o)["networkPolicyPeers"].pop(),
        "StatefulSet/parley-media/sfu: the broker's listener tls does not let it in",
    ),
    "a topic is not allowed": (lambda o: rights(o, "kafka-presence").pop(0), "nobody may read delivery.v1"),
    "a group is not allowed": (lambda o: rights(o, "kafka-signaling").pop(), "nobody may read messaging.events.v1"),
    "dead letters cannot be parked": (lambda o: rights(o, "kafka-presence").pop(1), "cannot park"),
    "a worker may not announce itself": (lambda o: rights(o, "kafka-sfu").pop(), "sfu has no right to sfu.nodes.v1"),
    "a user may more than its service needs": (
        lambda o: rights(o, "kafka-sfu")[0]["resource"].update(name="messaging.events.v1"),
        "sfu does not need its right to messaging.events.v1",
    ),
    "a right is to no topic": (
        lambda o: rights(o, "kafka-presence")[2]["resource"].update(name="presence.event.v1"),
        "presence.event.v1, which is not there",
    ),
    "the database's name is not checked": (lambda o: set_ssl(o, "verify-full", "require"), "is not checked"),
    "the database's authority is not there": (lambda o: set_ssl(o, "ca.crt", "root.crt"), "/etc/postgres/root.crt"),
    "the key of the database's authority is mounted": (
        lambda o: volume(o, "messaging", "postgres-ca").pop("items"),
        "gets the key of the database's CA",
    ),
    "a key of a Secret is misspelt": (
        lambda o: volume(o, "messaging", "postgres-ca")["items"][0].update(key="ca.pem"),
        "has no ca.pem",
    ),
}

DEFECTS: dict[str, Callable[[list[Object]], Any]] = {
    "a pod's labels are not its workload's selector": lambda o: pod(o)["metadata"]["labels"].update(
        {"app.kubernetes.io/name": "messenger"}
    ),
    "a Service selects nobody": lambda o: get(o, "Service", "gateway")["spec"]["selector"].update(tier="edge"),
    "a Service's target port is not the pod's": lambda o: get(o, "Service", "web")["spec"]["ports"][0].update(
        targetPort="htp"
    ),
    "a probe asks a port that is not there": lambda o: container(o)["livenessProbe"]["grpc"].update(port=7009),
    "liveness depends on the stores": lambda o: container(o)["livenessProbe"]["grpc"].update(service="readiness"),
    "a probe is missing": lambda o: container(o, "web").pop("readinessProbe"),
    "a start is not waited for": lambda o: container(o, "web").pop("startupProbe"),
    "a start has a second to answer": lambda o: container(o)["startupProbe"].pop("timeoutSeconds"),
    "liveness has a second to answer": lambda o: container(o)["livenessProbe"].update(timeoutSeconds=1),
    "a namespace warns at every apply": lambda o: get(o, "Namespace", "parley-media", "")["metadata"]["labels"].update(
        {"pod-security.kubernetes.io/warn": "restricted"}
    ),
    "a namespace refuses its own pods": lambda o: get(o, "Namespace", "parley-media", "")["metadata"]["labels"].update(
        {"pod-security.kubernetes.io/enforce": "baseline"}
    ),
    "pods that crash block a drain": lambda o: get(o, "PodDisruptionBudget", "gateway")["spec"].pop(
        "unhealthyPodEvictionPolicy"
    ),
    "a policy names a port of another pod": lambda o: get(o, "NetworkPolicy", "web")["spec"]["ingress"][0]["ports"][
        0
    ].update(port="https"),
    "a policy opens ports beside those of the pod": lambda o: get(o, "NetworkPolicy", "sfu", "parley-media")["spec"][
        "ingress"
    ][0]["ports"][0].update(port=7802, endPort=7803),
    "a policy speaks of pods that are not there": lambda o: get(o, "NetworkPolicy", "presence")["spec"]["ingress"][0][
        "from"
    ][0]["podSelector"]["matchLabels"].update({"app.kubernetes.io/name": "gate"}),
    "no policy lets the gateway in": lambda o: remove(o, "NetworkPolicy", "presence"),
    "no policy lets signaling out": lambda o: get(o, "NetworkPolicy", "signaling")["spec"].pop("egress"),
    "a ConfigMap is missing": lambda o: remove(o, "ConfigMap", "parley-settings"),
    "a Secret is misspelt": lambda o: variable(o, "gateway", "PARLEY_RESUME_KEY")["valueFrom"]["secretKeyRef"].update(
        name="parley-key"
    ),
    "a Secret's key is misspelt": lambda o: variable(o, "gateway", "PARLEY_RESUME_KEY")["valueFrom"][
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
    "the edge is not scraped": lambda o: get(o, "PodMonitor", "parley")["spec"]["selector"].update(
        matchExpressions=[{"key": "app.kubernetes.io/name", "operator": "In", "values": ["gateway", "sfu"]}]
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


@pytest.mark.parametrize("defect", STORE_DEFECTS)
def test_a_seeded_defect_of_a_store_is_found_for_what_it_is(defect: str) -> None:
    objects = copy.deepcopy(BASE)
    seed, words = STORE_DEFECTS[defect]
    seed(objects)
    assert any(words in line for line in findings(objects)), list(findings(objects))


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
    found = capacity.quantity(text)
    assert found is not None
    assert float(found) == value


@pytest.mark.parametrize("text", ["64MiB", "1 Gi", "", "-1", "1KB"])
def test_what_is_no_quantity_is_none(text: str) -> None:
    assert capacity.quantity(text) is None


def test_the_topics_in_kubernetes_are_the_declared_ones() -> None:
    assert (FOLDER / "base" / "topics.yaml").read_text() == topics.render(), "python -m deploy.k8s.topics writes it"


def test_secrets_for_dev_are_all_that_the_manifests_name_and_agree_over_namespaces() -> None:
    made: Any = {(item["metadata"]["namespace"], item["metadata"]["name"]): item["stringData"] for item in manifests()}  # type: ignore[index]
    assert {key: tuple(data) for key, data in made.items()} == SECRETS
    assert made["parley", "parley-service-keys"] == made["parley-media", "parley-service-keys"]
    assert '"d"' not in made["parley", "parley-service-keys"]["public.json"]
    assert not [name for namespace, name in made if namespace == "parley-media" and name.startswith("parley-key-")]
    assert made["parley", "parley-postgres-presence"]["username"] == "parley_presence"
    assert made["parley", "parley-service-keys"] != manifests()[0]["stringData"]
    # Nobody of the back office gets in before the site has made a key.
    assert read_servers(made["parley", "parley-server-keys"]["public.json"]) == {}


def test_who_serves_the_server_api_reads_the_keys_of_servers_and_the_back_office_reaches_it() -> None:
    """Servers' keys open the admin ports of two services, to one namespace."""
    objects = load_base()
    mounting = [item["metadata"]["name"] for item in objects if "parley-server-keys" in yaml.safe_dump(item)]
    assert sorted(mounting) == ["messaging", "signaling"]
    for service in mounting:
        entries = get(objects, "Deployment", service)["spec"]["template"]["spec"]["containers"][0]["env"]
        env = {entry["name"]: entry.get("value") for entry in entries}
        assert env["PARLEY_SERVER_KEYS_FILE"] == "/etc/parley/server-keys/public.json"
    policy = get(objects, "NetworkPolicy", "back-office")["spec"]
    (expression,) = policy["podSelector"]["matchExpressions"]
    assert (expression["operator"], sorted(expression["values"])) == ("In", sorted(mounting))
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"protocol": "TCP", "port": "admin"}]]


@pytest.mark.parametrize("service", ["messaging", "signaling", "gateway"])
def test_the_edge_sees_every_replica_that_its_ring_is_of(service: str) -> None:
    """Behind one address of a Service, calls of a user would go anywhere, and each replica allow them anew."""
    assert get(BASE, "Service", service)["spec"]["clusterIP"] == "None"


def test_the_edge_sees_the_addresses_of_its_clients() -> None:
    assert get(BASE, "Service", "edge")["spec"]["externalTrafficPolicy"] == "Local"


def test_the_relay_has_quotas_and_relays_to_nobody_but_the_workers() -> None:
    command = get(BASE, "Deployment", "coturn", "parley-media")["spec"]["template"]["spec"]["containers"][0]["command"]
    given = [argument.partition("=")[::2] for argument in command]
    quotas = {
        name: int(value)
        for name, value in given
        if name in ("--user-quota", "--total-quota", "--max-bps", "--bps-capacity")
    }
    assert len(quotas) == 4
    assert all(quotas.values()), "0 is no bound"
    assert quotas["--user-quota"] < quotas["--total-quota"]
    assert {value for name, value in given if name == "--denied-peer-ip"} == {
        "0.0.0.0-255.255.255.255",
        "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    }
    assert [value for name, value in given if name == "--allowed-peer-ip"] == ["$(TURN_PEERS)"]


FOR_DEVELOPMENT: dict[str, Callable[[list[Object]], object]] = {
    "the services take its tokens": lambda o: get(o, "ConfigMap", "parley-settings")["data"].update(
        PARLEY_JWT_ISSUER=ISSUER
    ),
    "the edge takes its tokens": lambda o: get(o, "ConfigMap", "parley-edge")["data"].update(
        PARLEY_EDGE_JWT_ISSUER=ISSUER
    ),
    "one service takes its tokens": lambda o: container(o)["env"].append(
        {"name": "PARLEY_JWT_ISSUER", "value": ISSUER}
    ),
    "its login is served": lambda o: get(o, "ConfigMap", "parley-edge")["data"].update(PARLEY_EDGE_DEV_LOGIN="true"),
    "keys come in clear text": lambda o: get(o, "ConfigMap", "parley-edge")["data"].update(
        PARLEY_EDGE_JWKS_URL="http://login.example.com/jwks.json"
    ),
    "it runs": lambda o: container(o).update(args=["deploy.embedded.issuer"]),
    "its image runs": lambda o: container(o).update(image="parley/stand-ins:1"),
}


@pytest.mark.parametrize("defect", FOR_DEVELOPMENT)
def test_what_is_for_development_is_found_in_production(defect: str) -> None:
    objects = copy.deepcopy(BASE)
    before = len(list(settings.for_development(objects)))
    FOR_DEVELOPMENT[defect](objects)
    assert len(list(settings.for_development(objects))) > before


def test_the_issuer_that_is_refused_in_production_is_that_of_development() -> None:
    assert settings.DEVELOPMENT_ISSUER in ISSUER


def test_a_media_worker_may_write_what_workers_say_and_nothing_else() -> None:
    """What rings phones and what becomes a message is read from topics that it may not write."""
    acls = rights(load_base(), "kafka-sfu")
    assert {acl["resource"]["patternType"] for acl in acls} == {"literal"}
    assert {operation for acl in acls for operation in acl["operations"]} == {"Write", "Describe"}
    written = {acl["resource"]["name"] for acl in acls}
    assert written == {"media.events.v1", "media.quality.v1", "sfu.nodes.v1"}
    readers = {group for topic, group in STAGES if topic in written}
    assert readers == {"signaling-media", "signaling-background"}


def test_a_media_worker_holds_no_key_that_others_believe() -> None:
    """Public keys and its broker certificate, no more: of the Secrets that pods of its namespace mount or read."""
    text = yaml.safe_dump([item for item in load_base() if item["metadata"].get("name") == "sfu"])
    names = set(re.findall(r"(?:secretName: |secretKeyRef:[^}]*?name: |secretRef:\s+name: )([\w.-]+)", text, re.DOTALL))
    assert names == {"parley-service-keys", "kafka-sfu", "parley-cluster-ca-cert"}


@pytest.mark.parametrize("name", ["messaging", "presence", "gateway", "signaling", "sfu"])
def test_a_pod_holds_the_private_key_of_no_other(name: str) -> None:
    pods = [item for item in load_base() if item["metadata"]["name"] == name and "template" in item.get("spec", {})]
    text = yaml.safe_dump(pods)
    held = set(re.findall(r"parley-key-[\w-]+", text))
    assert held == ({f"parley-key-{name}"} if name in IDENTITIES else set())
