"""What the operators would make of Parley's objects and stand-ins make here: Secrets, topics, rights, databases.

All is read from the rendered objects, so that a service that is added there has its own here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from deploy.certificates import Authority, Pem
from deploy.k8s.objects import Object, namespace_of, of_kind
from deploy.k8s.secrets import COPIES

# The stand-ins read these (stores/stores.yaml).
POSTGRES_TLS, POSTGRES_SETUP = "stand-in-postgres-tls", "stand-in-postgres-setup"
KAFKA_TLS, KAFKA_SETUP = "stand-in-kafka-tls", "stand-in-kafka-setup"
_PATTERNS = {"literal": "LITERAL", "prefix": "PREFIXED"}
# A second certificate of the edge, by the same authority: what a renewal puts in the place of the first.
RENEWED = "edge-renewed"


def issue(objects: list[Object], folder: Path) -> list[Object]:
    """The Secrets of cert-manager, Strimzi and CloudNativePG. The authority of the edge is `edge-ca.pem` there."""
    found = [*_certificates(objects, Authority(folder, "edge-ca"))]
    for kafka in of_kind(objects, "Kafka"):
        found += _broker(objects, kafka, Authority(folder, "kafka-ca"))
    for cluster in of_kind(objects, "Cluster"):
        found += _database(cluster, Authority(folder, "postgres-ca"))
    return [*found, *_copies(found)]


def setup(objects: list[Object], secrets: Sequence[Object], properties: str) -> list[Object]:
    """What the stand-ins are told: the broker its topics and rights, the database its roles."""
    broker = {
        "server.properties": properties,
        "topics.txt": lines(topics(of_kind(objects, "KafkaTopic"))),
        "acls.txt": lines(acls(of_kind(objects, "KafkaUser"))),
    }
    return [
        secret("parley", KAFKA_SETUP, broker),
        secret("parley", POSTGRES_SETUP, {"setup.sql": lines(statements(secrets))}),
    ]


def topics(items: Iterable[Object]) -> Iterator[str]:
    """A line for each: name, partitions, settings."""
    for item in items:
        spec = item["spec"]
        settings = [f"{name}={_text(value)}" for name, value in spec.get("config", {}).items()]
        yield " ".join([spec.get("topicName", item["metadata"]["name"]), str(spec["partitions"]), *settings])


def acls(users: Iterable[Object]) -> Iterator[str]:
    """A line for each right: user, kind of resource, its name, pattern, operation."""
    for user in users:
        for acl in user["spec"].get("authorization", {}).get("acls", []):
            resource = acl["resource"]
            about = f"{resource['type'].upper()} {resource['name']} {_PATTERNS[resource['patternType']]}"
            yield from (f"{user['metadata']['name']} {about} {name.upper()}" for name in acl["operations"])


def statements(secrets: Iterable[Object]) -> Iterator[str]:
    """A role and its database for each Secret with a user name."""
    for item in secrets:
        data = item["stringData"]
        if "username" in data:
            yield f"CREATE ROLE {data['username']} LOGIN PASSWORD '{data['password']}';"
            yield f"CREATE DATABASE {data['username']} OWNER {data['username']};"


def lines(parts: Iterable[str]) -> str:
    """As a file has them."""
    return "".join(f"{part}\n" for part in parts)


def secret(namespace: str, name: str, data: Mapping[str, str | bytes], kind: str = "Opaque") -> Object:
    """A Secret of texts or of bytes."""
    encoded = {key: base64.b64encode(_bytes(value)).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "data": encoded}


def tls(namespace: str, name: str, pem: Pem) -> Object:
    """A Secret of a certificate, as cert-manager writes it."""
    data = {"tls.crt": pem.certificate.read_bytes(), "tls.key": pem.key.read_bytes()}
    return secret(namespace, name, data, "kubernetes.io/tls")


def _certificates(objects: list[Object], authority: Authority) -> Iterator[Object]:
    for item in of_kind(objects, "Certificate"):
        name, spec = item["metadata"]["name"], item["spec"]
        names = [*spec.get("dnsNames", []), *spec.get("ipAddresses", [])]
        yield tls(namespace_of(item), spec["secretName"], authority.issue(name, names))
        if name == "edge":
            authority.issue(RENEWED, names)


def _broker(objects: list[Object], kafka: Object, authority: Authority) -> Iterator[Object]:
    namespace, name = namespace_of(kafka), kafka["metadata"]["name"]
    host = f"{name}-kafka-bootstrap"
    pem = authority.issue("kafka", _service_names(host, namespace))
    files = {"kafka.pem": pem.key.read_bytes() + pem.certificate.read_bytes(), "ca.crt": authority.ca.read_bytes()}
    yield secret(namespace, KAFKA_TLS, files)
    yield secret(namespace, f"{name}-cluster-ca-cert", {"ca.crt": authority.ca.read_bytes()})
    for user in of_kind(objects, "KafkaUser"):
        pem = authority.issue(user["metadata"]["name"], ())
        data = {"user.crt": pem.certificate.read_bytes(), "user.key": pem.key.read_bytes()}
        yield secret(namespace_of(user), user["metadata"]["name"], data)


def _database(cluster: Object, authority: Authority) -> Iterator[Object]:
    namespace, name = namespace_of(cluster), cluster["metadata"]["name"]
    yield tls(namespace, POSTGRES_TLS, authority.issue("postgres", _service_names(f"{name}-rw", namespace)))
    yield secret(namespace, f"{name}-ca", {"ca.crt": authority.ca.read_bytes()})


def _service_names(host: str, namespace: str) -> list[str]:
    return [host, *(f"{host}.{namespace}{rest}" for rest in ("", ".svc", ".svc.cluster.local"))]


def _copies(made: Iterable[Object]) -> Iterator[Object]:
    """What a pod of another namespace mounts."""
    by_name = {item["metadata"]["name"]: item for item in made}
    for namespace, name in COPIES:
        yield {**by_name[name], "metadata": {"name": name, "namespace": namespace}}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
