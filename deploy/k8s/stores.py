"""Whether broker and database are reached as they are declared: over TLS, as whom, with which rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from deploy.k8s.objects import Object, Pod, environment, find, matches, namespace_of, of_kind, pods, title
from deploy.k8s.settings import read_by, service_of
from services.ops.core.topics import DEAD_LETTER_SUFFIX, STAGES

SERVICES = Path(__file__).parents[2] / "services"
_TOPIC = re.compile(r'"([a-z]+(?:\.[a-z]+)*\.v[0-9]+)"')
# Broker, its CA's Secret, a user's: as Strimzi names them; and CloudNativePG its server and its CA.
BOOTSTRAP, BROKER_CA, USER = "{}-kafka-bootstrap", "{}-cluster-ca-cert", "kafka-{}"
SERVER, SERVER_CA = "{}-rw", "{}-ca"


def broker_is_closed(objects: list[Object]) -> Iterator[str]:
    """Each listener asks for certificates, and what a certificate's owner may do is said."""
    for kafka in of_kind(objects, "Kafka"):
        for listener in kafka["spec"]["kafka"]["listeners"]:
            if not listener["tls"] or listener.get("authentication", {}).get("type") != "tls":
                yield f"{title(kafka)}: the listener {listener['name']} takes whoever comes, or speaks in clear"
        if kafka["spec"]["kafka"].get("authorization", {}).get("type") != "simple":
            yield f"{title(kafka)}: everybody may do everything"
        if "userOperator" not in kafka["spec"].get("entityOperator", {}):
            yield f"{title(kafka)}: nobody makes its users"
    for user in of_kind(objects, "KafkaUser"):
        cluster = user["metadata"].get("labels", {}).get("strimzi.io/cluster", "")
        if not find(objects, "Kafka", namespace_of(user), cluster):
            yield f"{title(user)} is of no broker"
        if user["spec"].get("authentication", {}).get("type") != "tls":
            yield f"{title(user)} gets no certificate"


def broker_is_reached(objects: list[Object]) -> Iterator[str]:
    """Who speaks to the broker does it over TLS, with its own certificate, and through the policies."""
    for pod, container, service, env in _services(objects):
        if "PARLEY_KAFKA_BOOTSTRAP" not in read_by(service, env)[0]:
            continue
        host, _, port = env.get("PARLEY_KAFKA_BOOTSTRAP", "").rpartition(":")
        brokers = [
            k for k in of_kind(objects, "Kafka") if BOOTSTRAP.format(k["metadata"]["name"]) == host.split(".")[0]
        ]
        if not brokers:
            yield f"{pod.name}: there is no broker {host}"
            continue
        name = brokers[0]["metadata"]["name"]
        listeners = [one for one in brokers[0]["spec"]["kafka"]["listeners"] if str(one["port"]) == port]
        if not listeners or listeners[0]["tls"] != (env.get("PARLEY_KAFKA_TLS") == "true"):
            yield f"{pod.name}: the broker has no listener at {port}, or one and TLS do not go together"
        if listeners and not _is_peer(listeners[0], pod, namespace_of(brokers[0])):
            yield f"{pod.name}: the broker's listener {listeners[0]['name']} does not let it in"
        yield from _files(
            pod,
            container,
            {
                env.get("PARLEY_KAFKA_CA_FILE", ""): (BROKER_CA.format(name), "ca.crt"),
                env.get("PARLEY_KAFKA_CERTIFICATE_FILE", ""): (USER.format(service), "user.crt"),
                env.get("PARLEY_KAFKA_KEY_FILE", ""): (USER.format(service), "user.key"),
            },
        )
        yield from _way_out(objects, pod, {"strimzi.io/cluster": name}, port)


def broker_allows(objects: list[Object]) -> Iterator[str]:
    """A service's user has the topics that its code names and no others, its groups, and dead letters."""
    topics = {item["metadata"]["name"] for item in of_kind(objects, "KafkaTopic")}
    rights = {user["metadata"]["name"]: _Rights(user) for user in of_kind(objects, "KafkaUser")}
    for name, right in rights.items():
        yield from (f"{name} may use {topic}, which is not there" for topic in right.unknown(topics))
    for topic, group in STAGES:
        reader = rights.get(USER.format(group.partition("-")[0]))
        if reader is None or not (reader.may("Read", "topic", topic) and reader.may("Read", "group", group)):
            yield f"nobody may read {topic} as {group}"
        elif not reader.may("Write", "topic", topic + DEAD_LETTER_SUFFIX):
            yield f"{group} cannot park what it cannot handle of {topic}"
    ours = {topic for topic in topics if not topic.endswith(DEAD_LETTER_SUFFIX)}
    for service in sorted({service for _, _, service, env in _services(objects) if "PARLEY_KAFKA_TLS" in env}):
        user = rights.get(USER.format(service))
        named = _named_topics(service) & ours
        allowed = {topic for topic in ours if user and user.may("Describe", "topic", topic)}
        for topic in sorted(named ^ allowed):
            yield f"{service} {'has no right to' if topic in named else 'does not need its right to'} {topic}"
    writers = [right for name, right in rights.items() if name != USER.format("ops")]
    for topic in sorted(ours):
        if not any(right.may("Write", "topic", topic) for right in writers):
            yield f"nobody may write to {topic}"


def database_is_known(objects: list[Object]) -> Iterator[str]:
    """The server's certificate and name are checked, against its own CA, whose key stays where it is."""
    clusters = {SERVER.format(c["metadata"]["name"]): c["metadata"]["name"] for c in of_kind(objects, "Cluster")}
    for pod in pods(objects):
        for volume in pod.spec.get("volumes", []):
            secret = volume.get("secret", {})
            keys = [item["key"] for item in secret.get("items", [])]
            if secret.get("secretName") in map(SERVER_CA.format, clusters.values()) and keys != ["ca.crt"]:
                yield f"{pod.name} gets the key of the database's CA"
        for container in pod.containers:
            url = urlsplit(environment(objects, pod, container)[0].get("PARLEY_DATABASE_URL", ""))
            if url.hostname not in clusters:
                continue
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            if query.get("sslmode") != "verify-full":
                yield f"{pod.name}: the database's name is not checked (sslmode={query.get('sslmode')})"
            cluster = clusters[url.hostname]
            yield from _files(pod, container, {query.get("sslrootcert", ""): (SERVER_CA.format(cluster), "ca.crt")})
            yield from _way_out(objects, pod, {"cnpg.io/cluster": cluster}, str(url.port))


class _Rights:
    """What a KafkaUser may do."""

    def __init__(self, user: Object) -> None:
        self._acls = user["spec"].get("authorization", {}).get("acls", [])

    def may(self, operation: str, kind: str, name: str) -> bool:
        return any(
            operation in acl["operations"] and acl["resource"]["type"] == kind and _covers(acl["resource"], name)
            for acl in self._acls
        )

    def unknown(self, topics: set[str]) -> Iterator[str]:
        """The topics that are named in vain."""
        for acl in self._acls:
            resource = acl["resource"]
            if resource["type"] == "topic" and not any(_covers(resource, topic) for topic in topics):
                yield resource["name"]


def _covers(resource: Object, name: str) -> bool:
    if resource["patternType"] == "prefix":
        return name.startswith(resource["name"])
    return resource["name"] in ("*", name)


def _services(objects: list[Object]) -> Iterator[tuple[Pod, Object, str, dict[str, str]]]:
    """The containers that run a service as such: jobs of the same image have arguments."""
    for pod in pods(objects):
        for container in pod.spec["containers"]:
            service = service_of(container)
            if service is not None and "args" not in container and "command" not in container:
                yield pod, container, service, environment(objects, pod, container)[0]


def _files(pod: Pod, container: Object, wanted: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Files that a variable names are mounted, and from the right Secret."""
    secrets = {volume["name"]: volume["secret"] for volume in pod.spec.get("volumes", []) if "secret" in volume}
    mounted = {
        f"{mount['mountPath']}/{item['path']}": (secrets[mount["name"]]["secretName"], item["key"])
        for mount in container.get("volumeMounts", [])
        if mount["name"] in secrets
        for item in secrets[mount["name"]].get("items", [])
    }
    for path, source in wanted.items():
        if mounted.get(path) != source:
            yield f"{pod.name}: {path or 'no file'} should be {source[1]} of the Secret {source[0]}"


def _way_out(objects: list[Object], pod: Pod, labels: dict[str, str], port: str) -> Iterator[str]:
    """A policy lets the pod out to an operator's pods at that port. Jobs have theirs by their own labels."""
    for policy in of_kind(objects, "NetworkPolicy"):
        if namespace_of(policy) != pod.namespace or not matches(policy["spec"]["podSelector"], pod.labels):
            continue
        for rule in policy["spec"].get("egress", []):
            peers = [peer.get("podSelector", {}).get("matchLabels") for peer in rule.get("to", [])]
            if labels in peers and port in [str(entry["port"]) for entry in rule.get("ports", [])]:
                return
    yield f"no policy lets {pod.name} out to {labels} at {port}"


def _is_peer(listener: Object, pod: Pod, namespace: str) -> bool:
    for peer in listener.get("networkPolicyPeers", [{}]):
        names = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", namespace)
        if pod.namespace == names and matches(peer.get("podSelector", {}), pod.labels):
            return True
    return False


@cache
def _named_topics(service: str) -> set[str]:
    return {name for path in (SERVICES / service).rglob("*.py") for name in _TOPIC.findall(path.read_text())}


RULES = (broker_is_closed, broker_is_reached, broker_allows, database_is_known)
