"""The fields of the operators' objects that the manifests use: Kubernetes' own schemas do not know them.

For a check that needs nothing: crds.py holds the same objects against the operators' own schemas, where somebody has
them. A field that stands here may still be misused; one that does not is a misspelling, or new, and then it belongs in
here. `...` takes anything below; a list of one holds objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.k8s.objects import Object, title

ANY = ...
_SECRET_KEY = {"name": str, "key": str}
_RESOURCES = {"requests": ANY, "limits": ANY}
_SELECTOR = {"matchLabels": ANY, "matchExpressions": ANY}
_VOLUME = {"size": str, "storageClass": str}

FIELDS: dict[tuple[str, str], dict[str, Any]] = {
    ("kafka.strimzi.io/v1", "KafkaTopic"): {"partitions": int, "replicas": int, "topicName": str, "config": ANY},
    ("kafka.strimzi.io/v1", "KafkaNodePool"): {
        "replicas": int,
        "roles": list,
        "storage": {"type": str, "size": str, "deleteClaim": bool, "class": str},
        "resources": _RESOURCES,
    },
    ("kafka.strimzi.io/v1", "Kafka"): {
        "kafka": {
            "version": str,
            "rack": {"topologyKey": str},
            "listeners": [
                {
                    "name": str,
                    "port": int,
                    "type": str,
                    "tls": bool,
                    "authentication": {"type": str},
                    "networkPolicyPeers": ANY,
                }
            ],
            "authorization": {"type": str},
            "config": ANY,
        },
        "entityOperator": {"topicOperator": ANY, "userOperator": ANY},
    },
    ("kafka.strimzi.io/v1", "KafkaUser"): {
        "authentication": {"type": str},
        "authorization": {
            "type": str,
            "acls": [{"resource": {"type": str, "name": str, "patternType": str}, "operations": list}],
        },
    },
    ("postgresql.cnpg.io/v1", "Cluster"): {
        "instances": int,
        "storage": _VOLUME,
        "walStorage": _VOLUME,
        "resources": _RESOURCES,
        "affinity": {"enablePodAntiAffinity": bool, "topologyKey": str},
        "postgresql": {"synchronous": {"method": str, "number": int}, "parameters": ANY},
        "managed": {"roles": [{"name": str, "ensure": str, "login": bool, "passwordSecret": {"name": str}}]},
        "plugins": [{"name": str, "isWALArchiver": bool, "parameters": ANY}],
    },
    ("postgresql.cnpg.io/v1", "Database"): {"name": str, "owner": str, "cluster": {"name": str}},
    ("postgresql.cnpg.io/v1", "ScheduledBackup"): {
        "schedule": str,
        "backupOwnerReference": str,
        "cluster": {"name": str},
        "method": str,
        "pluginConfiguration": {"name": str},
    },
    ("barmancloud.cnpg.io/v1", "ObjectStore"): {
        "retentionPolicy": str,
        "configuration": {
            "destinationPath": str,
            "endpointURL": str,
            "s3Credentials": {"accessKeyId": _SECRET_KEY, "secretAccessKey": _SECRET_KEY},
            "wal": {"compression": str},
        },
    },
    ("cert-manager.io/v1", "Certificate"): {
        "secretName": str,
        "commonName": str,
        "dnsNames": list,
        "isCA": bool,
        "usages": list,
        "duration": str,
        "renewBefore": str,
        "privateKey": {"algorithm": str, "size": int, "rotationPolicy": str},
        "issuerRef": {"group": str, "kind": str, "name": str},
    },
    ("cert-manager.io/v1", "ClusterIssuer"): {"selfSigned": ANY, "acme": ANY, "ca": ANY},
    ("external-secrets.io/v1", "ExternalSecret"): {
        "refreshInterval": str,
        "secretStoreRef": {"kind": str, "name": str},
        "target": {"name": str},
        "data": [{"secretKey": str, "remoteRef": {"key": str, "property": str}}],
    },
    ("monitoring.coreos.com/v1", "PodMonitor"): {
        "namespaceSelector": {"matchNames": list},
        "selector": _SELECTOR,
        "jobLabel": str,
        "podMetricsEndpoints": [{"port": str, "path": str, "interval": str}],
    },
    ("monitoring.coreos.com/v1", "PrometheusRule"): {
        "groups": [
            {
                "name": str,
                "interval": str,
                "rules": [{"record": str, "alert": str, "expr": str, "for": str, "labels": ANY, "annotations": ANY}],
            }
        ]
    },
}


def is_custom(item: Object) -> bool:
    """Whether the object is an operator's, and not Kubernetes' own."""
    group = item["apiVersion"].rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def misfits(objects: list[Object]) -> Iterator[str]:
    """Fields of operators' objects that are not known, or of another type."""
    for item in objects:
        if not is_custom(item):
            continue
        known = FIELDS.get((item["apiVersion"], item["kind"]))
        if known is None:
            yield f"{title(item)}: {item['apiVersion']} {item['kind']} is not known"
        else:
            yield from (f"{title(item)}: {finding}" for finding in _compare(item["spec"], known, "spec"))


def _compare(value: Any, known: Any, path: str) -> Iterator[str]:
    if known is ANY:
        return
    if isinstance(known, dict):
        if not isinstance(value, dict):
            yield f"{path} is not an object"
            return
        for key, inner in value.items():
            if key in known:
                yield from _compare(inner, known[key], f"{path}.{key}")
            else:
                yield f"{path} has no field {key}"
    elif isinstance(known, list):
        for index, inner in enumerate(value if isinstance(value, list) else [value]):
            yield from _compare(inner, known[0], f"{path}[{index}]")
    elif not isinstance(value, known) or (known is int and isinstance(value, bool)):
        yield f"{path} is {type(value).__name__}, not {known.__name__}"
