"""The Secrets that the manifests refer to.

For dev, `python -m deploy.k8s.secrets | kubectl apply -f -` makes random ones.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys

import yaml

from deploy import identities, push_keys, server_keys
from services.runtime.identity.callers import IDENTITIES

_KEY = "parley-key-"
# (namespace, name) → keys. Same name and key in two namespaces: same value.
SECRETS: dict[tuple[str, str], tuple[str, ...]] = {
    # Who is believed: public keys only, the same everywhere. A private key is with its one owner.
    ("parley", "parley-service-keys"): ("public.json",),
    ("parley-media", "parley-service-keys"): ("public.json",),
    **{("parley", _KEY + caller): ("private.json",) for caller in IDENTITIES},
    ("parley", "parley-resume"): ("key",),
    ("parley", "parley-objects"): ("key-id", "secret"),
    ("parley", "parley-backups"): ("key-id", "secret"),
    ("parley", "parley-postgres-messaging"): ("username", "password"),
    ("parley", "parley-postgres-presence"): ("username", "password"),
    ("parley", "parley-postgres-signaling"): ("username", "password"),
    ("parley", "parley-postgres-webhooks"): ("username", "password"),
    ("parley", "parley-postgres-push"): ("username", "password"),
    # What each server of the back office may do, with its public key (deploy/server_keys.py); none has one at first.
    ("parley", "parley-server-keys"): ("public.json",),
    # Who is told by webhooks, with their secrets.
    ("parley", "parley-webhooks"): ("endpoints.json",),
    # By which providers sleeping devices are told, with their keys.
    ("parley", "parley-push"): ("providers.json",),
    ("parley", "parley-turn"): ("secret",),
    ("parley-media", "parley-turn"): ("secret",),
}
# What Strimzi makes in `parley` and a pod in another namespace mounts: a copy (docs/operations/kubernetes.md).
COPIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("parley-media", "parley-cluster-ca-cert"): ("ca.crt",),
    ("parley-media", "kafka-sfu"): ("user.crt", "user.key"),
}
_POSTGRES = "parley-postgres-"


def manifests() -> list[dict[str, object]]:
    """Secrets with new random values."""
    values = _identities()
    documents: list[dict[str, object]] = []
    for (namespace, name), keys in SECRETS.items():
        data = {key: values.setdefault((name, key), _value(name, key)) for key in keys}
        kind = "kubernetes.io/basic-auth" if name.startswith(_POSTGRES) else "Opaque"
        metadata = {"name": name, "namespace": namespace}
        documents.append({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "stringData": data})
    return documents


def _identities() -> dict[tuple[str, str], str]:
    sets = identities.key_sets()
    own = {(_KEY + caller, "private.json"): sets[caller] for caller in IDENTITIES}
    return own | {
        ("parley-service-keys", "public.json"): sets[identities.PUBLIC],
        ("parley-server-keys", "public.json"): server_keys.document([]),
    }


def _value(name: str, key: str) -> str:
    if key == "username":
        return "parley_" + name.removeprefix(_POSTGRES)
    if key == "endpoints.json":
        return '{"endpoints": []}'
    if key == "providers.json":
        return json.dumps(push_keys.web_push_of("mailto:operator@parley.invalid"))
    if key == "password":
        # It becomes part of a URL.
        return secrets.token_hex(24)
    return base64.b64encode(secrets.token_bytes(32)).decode()


if __name__ == "__main__":
    yaml.safe_dump_all(manifests(), sys.stdout)
