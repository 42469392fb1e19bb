"""What a site may change, with what it means, what it may be, and where it stands in the manifests.

A value without a default has the one of the manifests. What follows from the manifests themselves (images, replicas,
resources of each workload) is at the end of this file, so that a new service has its values without a word here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.helm.places import ChartError, Entry, Field, Place, Text
from deploy.k8s.objects import Object, of_kind, pods

_QUANTITY = {"type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"}
_AMOUNTS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"cpu": _QUANTITY, "memory": _QUANTITY, "ephemeral-storage": _QUANTITY},
}
RESOURCES: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["requests"],
    "properties": {"requests": _AMOUNTS, "limits": _AMOUNTS},
}
SWITCH: Mapping[str, Any] = {"type": "boolean"}
TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
HOST: Mapping[str, Any] = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"}
HOSTS_OR_NONE: Mapping[str, Any] = {"type": "string", "pattern": "^([a-z0-9.-]+(,[a-z0-9.-]+)*)?$"}
# Keys that come in clear text are whoever's stands in between.
HTTPS: Mapping[str, Any] = {"type": "string", "pattern": "^https://[^\\s]+$"}
ADDRESS: Mapping[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9.-]+:[0-9]+$"}
ADDRESS_OR_NONE: Mapping[str, Any] = {"type": "string", "pattern": "^([A-Za-z0-9.-]+:[0-9]+)?$"}
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 1}
DIGEST: Mapping[str, Any] = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
STORAGE: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["size"],
    "properties": {"size": _QUANTITY, "storageClass": TEXT},
}
KAFKA_STORAGE: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "size"],
    "properties": {"type": TEXT, "size": _QUANTITY, "deleteClaim": SWITCH, "class": TEXT},
}


@dataclass(frozen=True)
class Value:
    """One value: `path` is where it stands in values.yaml, `about` the comment above it."""

    path: str
    about: str
    schema: Mapping[str, Any]
    places: tuple[Place, ...] = ()
    default: Any = None

    @property
    def expression(self) -> str:
        """How a template names it."""
        return f".Values.{self.path}"


def _setting(path: str, about: str, schema: Mapping[str, Any], variable: str, namespace: str = "parley") -> Value:
    place = Field("ConfigMap", ("data", variable), name="parley-settings", namespace=namespace)
    return Value(path, about, schema, (place,))


_WORKERS = ".Values.sfu.workers"

SITE = (
    Value("site.domain", "What clients connect to; also the relay's realm.", HOST, (Text("parley.example.com"),)),
    Value("site.turnDomain", "Where clients find the relay.", HOST, (Text("turn.parley.example.com"),)),
    Value(
        "site.runbooks",
        "Where your site shows deploy/observability/runbooks; alerts link there.",
        HTTPS,
        (Text("https://runbooks.example.com/parley"),),
    ),
    Value(
        "users.jwksUrl",
        "The keys of who issues the users' tokens.",
        HTTPS,
        (Text("https://login.example.com/.well-known/jwks.json"),),
    ),
    Value("users.issuer", "The `iss` of the users' tokens.", TEXT, (Text("https://login.example.com/"),)),
    _setting("users.audience", "The `aud` of the users' tokens.", TEXT, "PARLEY_JWT_AUDIENCE"),
    Value(
        "operators.jwksUrl",
        "The keys of who issues the tokens of the people who run Parley: never the users' issuer.",
        HTTPS,
        (Text("https://people.example.com/.well-known/jwks.json"),),
    ),
    Value("operators.issuer", "The `iss` of operators' tokens.", TEXT, (Text("https://people.example.com/"),)),
    Value(
        "tls.clusterIssuer",
        "cert-manager's ClusterIssuer for the two certificates that clients see.",
        TEXT,
        (Field("Certificate", ("spec", "issuerRef", "name")),),
    ),
    _setting("objects.endpoint", "The object store (S3), as the services reach it.", HTTPS, "PARLEY_OBJECTS_ENDPOINT"),
    _setting("objects.publicEndpoint", "The same, as clients reach it.", HTTPS, "PARLEY_OBJECTS_PUBLIC_ENDPOINT"),
    _setting("objects.bucket", "The bucket of attachments.", TEXT, "PARLEY_OBJECTS_BUCKET"),
    _setting("objects.region", "The region that requests to it are signed for.", TEXT, "PARLEY_OBJECTS_REGION"),
    _setting(
        "stickers.hosts",
        "Providers of stickers, by the hosts of their pictures, with commas. Empty: none can be sent.",
        HOSTS_OR_NONE,
        "PARLEY_STICKER_HOSTS",
    ),
)

MEDIA = (
    Value(
        "sfu.workers",
        "Processes of a media pod, one a core: as many ports of the node from 7800 on, for UDP and TCP. Raise"
        " resources.sfu with it.",
        {"type": "integer", "minimum": 1, "maximum": 64},
        (
            Entry(
                "StatefulSet",
                "value",
                "2",
                ("name", "PARLEY_SFU_WORKERS"),
                expression=f"{_WORKERS} | toString | toJson",
            ),
            Field(
                "StatefulSet",
                ("spec", "template", "spec", "containers", 0, "ports"),
                name="sfu",
                expression='include "parley.sfuPorts" .',
            ),
            Entry("NetworkPolicy", "endPort", 7801, expression=f"add 7799 {_WORKERS}"),
            Entry("NetworkPolicy", "endPort", 7002, expression=f"add 7000 {_WORKERS}"),
            # 110 of the 200 participants that each takes at the most: the rest is for those of a worker that goes.
            Field(
                "HorizontalPodAutoscaler",
                ("spec", "metrics", 1, "pods", "target", "averageValue"),
                name="sfu",
                expression=f"mul 110 {_WORKERS} | toString | toJson",
            ),
        ),
        default=2,
    ),
    Value(
        "sfu.stunServer",
        "A STUN server outside of the 1:1 NAT that the nodes are behind: it says what their public addresses are. Empty"
        " where the nodes' own addresses are public.",
        ADDRESS_OR_NONE,
        (Text("stun.example.com:3478"),),
    ),
    _setting("sfu.region", "Where these media workers are.", TEXT, "PARLEY_SFU_REGION", namespace="parley-media"),
    Value(
        "turn.peers",
        "The media workers' public addresses as one range; a relay that reaches more is an open proxy.",
        {"type": "string", "pattern": "^[0-9a-fA-F.:]+(-[0-9a-fA-F.:]+)?$"},
        (Text("198.51.100.0-198.51.100.255"),),
    ),
)

STORES = (
    Value(
        "postgres.managed",
        "Whether CloudNativePG runs it, by the objects of this chart. If not, the databases and roles parley_<service>"
        " are yours to make, the Secret parley-postgres-ca (ca.crt) too, and a NetworkPolicy that lets pods out to it.",
        SWITCH,
        default=True,
    ),
    Value("postgres.server", "Where it is reached, over TLS.", ADDRESS, (Text("parley-postgres-rw:5432"),)),
    Value(
        "postgres.instances",
        "Its machines; two is the least that loses nothing.",
        COUNT,
        (Field("Cluster", ("spec", "instances")),),
    ),
    Value("postgres.storage", "The disk of each.", STORAGE, (Field("Cluster", ("spec", "storage")),)),
    Value("postgres.walStorage", "And that of its log.", STORAGE, (Field("Cluster", ("spec", "walStorage")),)),
    Value("postgres.resources", "What each asks for.", RESOURCES, (Field("Cluster", ("spec", "resources")),)),
    Value(
        "postgres.backups.destination",
        "Where base backups and WAL go.",
        {"type": "string", "pattern": "^s3://"},
        (Field("ObjectStore", ("spec", "configuration", "destinationPath")),),
    ),
    Value(
        "postgres.backups.endpoint",
        "The object store of the backups.",
        HTTPS,
        (Field("ObjectStore", ("spec", "configuration", "endpointURL")),),
    ),
    Value(
        "postgres.backups.retention",
        "For how long they are kept.",
        {"type": "string", "pattern": "^[0-9]+[dwm]$"},
        (Field("ObjectStore", ("spec", "retentionPolicy")),),
    ),
    Value(
        "postgres.backups.schedule",
        "When a base backup is made; seconds come first.",
        TEXT,
        (Field("ScheduledBackup", ("spec", "schedule")),),
    ),
    Value(
        "kafka.managed",
        "Whether Strimzi runs it, by the objects of this chart. If not, topics and rights are yours to make as"
        " deploy/k8s/base has them, the Secrets parley-cluster-ca-cert and kafka-<service> too, and a NetworkPolicy"
        " that lets pods out to it.",
        SWITCH,
        default=True,
    ),
    Value(
        "kafka.bootstrap",
        "Where it is reached, over TLS; empty for Strimzi's own.",
        ADDRESS_OR_NONE,
        (
            Text("parley-kafka-bootstrap:9093", '(.Values.kafka.bootstrap | default "parley-kafka-bootstrap:9093")'),
            Text(
                "parley-kafka-bootstrap.parley:9093",
                '(.Values.kafka.bootstrap | default "parley-kafka-bootstrap.parley:9093")',
            ),
        ),
        default="",
    ),
    Value(
        "kafka.replicas",
        "Its machines; three is the least that loses nothing.",
        COUNT,
        (Field("KafkaNodePool", ("spec", "replicas")),),
    ),
    Value("kafka.storage", "The disk of each.", KAFKA_STORAGE, (Field("KafkaNodePool", ("spec", "storage")),)),
    Value("kafka.resources", "What each asks for.", RESOURCES, (Field("KafkaNodePool", ("spec", "resources")),)),
)

AROUND = (
    Value(
        "namespaces.create",
        "Whether the chart makes the namespaces parley and parley-media. They hold the Secrets, which come first; and"
        " who removes them removes the data.",
        SWITCH,
        default=False,
    ),
    Value(
        "externalSecrets.enabled",
        "Whether External Secrets makes the Secrets (deploy/k8s/secrets.py lists them).",
        SWITCH,
        default=True,
    ),
    Value(
        "externalSecrets.store",
        "The ClusterSecretStore that has them.",
        TEXT,
        (Entry("ExternalSecret", "name", "parley", ("kind", "ClusterSecretStore")),),
    ),
    Value(
        "externalSecrets.namespaceStore",
        "The one of the provider `kubernetes` that reads what Strimzi makes in parley, for parley-media.",
        TEXT,
        (Entry("ExternalSecret", "name", "parley-namespace", ("kind", "ClusterSecretStore")),),
    ),
    Value(
        "monitoring.enabled",
        "Whether there are rules and monitors for the Prometheus operator, and dashboards.",
        SWITCH,
        default=True,
    ),
)
# Objects that are there by a switch: by kind, and those of a name.
SWITCHED: Mapping[tuple[str, str], str] = {
    ("Namespace", ""): "namespaces.create",
    ("ExternalSecret", ""): "externalSecrets.enabled",
    ("PodMonitor", ""): "monitoring.enabled",
    ("PrometheusRule", ""): "monitoring.enabled",
    ("ConfigMap", "parley-dashboards"): "monitoring.enabled",
    **dict.fromkeys([(kind, "") for kind in ("Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser")], "kafka.managed"),
    **dict.fromkeys(
        [(kind, "") for kind in ("Cluster", "Database", "ObjectStore", "ScheduledBackup")], "postgres.managed"
    ),
}
_IMAGE = re.compile(r"(?P<registry>[^/@]+)/(?P<repository>[^@]+)@(?P<digest>sha256:[0-9a-f]{64})")
# The Jobs of all services have the same.
MIGRATIONS = "migrations"


def table(objects: list[Object]) -> list[Value]:
    """All values, in the order of values.yaml. Raises ChartError."""
    return [*SITE, *images(objects), *MEDIA, *STORES, *AROUND, *sizes(objects)]


def images(objects: list[Object]) -> Iterator[Value]:
    """The registry, and of each image its name there and its digest."""
    found = {container["image"] for pod in pods(objects) for container in pod.containers}
    parts = {image: _IMAGE.fullmatch(image) for image in sorted(found)}
    registries = {match["registry"] for match in parts.values() if match}
    if len(registries) != 1 or not all(parts.values()):
        raise ChartError(f"not all images are of one registry and have a digest: {sorted(found)}")
    yield Value("images.registry", "Whence all images come.", TEXT, default=registries.pop())
    for image, match in parts.items():
        assert match
        name = _camel(match["repository"].rpartition("/")[2])
        path = f"images.{name}"
        whole = f'(printf "%s/%s@%s" .Values.images.registry .Values.{path}.repository .Values.{path}.digest)'
        yield Value(f"{path}.repository", "", TEXT, (Text(image, whole),), match["repository"])
        yield Value(f"{path}.digest", "", DIGEST, default=match["digest"])


def sizes(objects: list[Object]) -> Iterator[Value]:
    """How many pods of each workload, and what each asks for."""
    first = "How many; those that autoscaling does not name."
    for item in of_kind(objects, "Deployment", "StatefulSet"):
        if "replicas" in item["spec"]:
            name = item["metadata"]["name"]
            yield Value(f"replicas.{name}", first, COUNT, (Field(item["kind"], ("spec", "replicas"), name),))
            first = ""
    first = "From how many to how many the autoscalers go. messaging and presence: no more than 16, the partitions."
    for item in of_kind(objects, "HorizontalPodAutoscaler"):
        name = item["metadata"]["name"]
        for bound in ("minReplicas", "maxReplicas"):
            yield Value(f"autoscaling.{name}.{bound}", first, COUNT, (Field(item["kind"], ("spec", bound), name),))
            first = ""
    at = ("spec", "template", "spec", "containers", 0, "resources")
    first = "What the main container of each pod asks for, and its limits. No limit of CPU: throttling is latency."
    for item in of_kind(objects, "Deployment", "StatefulSet"):
        name = item["metadata"]["name"]
        yield Value(f"resources.{name}", first, RESOURCES, (Field(item["kind"], at, name),))
        first = ""
    if of_kind(objects, "Job"):
        yield Value(f"resources.{MIGRATIONS}", first, RESOURCES, (Field("Job", at),))


def _camel(name: str) -> str:
    head, *rest = name.split("-")
    return head + "".join(part.capitalize() for part in rest)
