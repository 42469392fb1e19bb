"""New keys for who calls services: a private JWK set for each caller, and one public set of all."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.runtime.clock import SystemClock
from services.runtime.config import IdentityConfig
from services.runtime.env import EnvReader
from services.runtime.identity.auth import ServiceTokens
from services.runtime.identity.callers import IDENTITIES
from services.runtime.identity.service_keys import OWNER, ServiceKeys

PUBLIC = "public"


def new_key(service: str) -> dict[str, str]:
    """A private JWK of the service (RFC 8037). Its `kid` names the service for people; OWNER is what counts."""
    private = Ed25519PrivateKey.generate()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "kid": f"{service}-{secrets.token_hex(4)}",
        OWNER: service,
        "x": _base64(private.public_key().public_bytes_raw()),
        "d": _base64(private.private_bytes_raw()),
    }


def key_sets(services: Iterable[str] = IDENTITIES) -> dict[str, str]:
    """JWK sets as JSON by file name without its ending: one for each service, and PUBLIC for everybody."""
    return written({service: [new_key(service)] for service in services})


def admin_key_sets() -> dict[str, str]:
    """Of an issuer of people for development: `private` for who may read the stack's folder, PUBLIC for services."""
    sets = key_sets(("admin",))
    return {"private": sets["admin"], PUBLIC: sets[PUBLIC]}


def written(keys: Mapping[str, list[dict[str, str]]]) -> dict[str, str]:
    """As key_sets, for keys that are there already: the first of a service signs."""
    public = [{name: value for name, value in key.items() if name != "d"} for row in keys.values() for key in row]
    documents = {service: {"keys": row} for service, row in keys.items()} | {PUBLIC: {"keys": public}}
    return {name: json.dumps(document, indent=1) for name, document in documents.items()}


def write(folder: Path, documents: Mapping[str, str]) -> None:
    """Replaces the files `<name>.json`; only their owner can read them."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in documents.items():
        unfinished = folder / f"{name}.unfinished"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        unfinished.replace(folder / f"{name}.json")


def environment(folder: Path, service: str) -> dict[str, str]:
    """What a service is told of its keys in the folder."""
    env = {"PARLEY_SERVICE_PUBLIC_KEYS_FILE": str(folder / f"{PUBLIC}.json")}
    private = folder / f"{service}.json"
    return env | ({"PARLEY_SERVICE_PRIVATE_KEYS_FILE": str(private)} if service in IDENTITIES else {})


def tokens_of(folder: Path | str, service: str) -> ServiceTokens:
    """The service's credentials, from the folder of a stack. Raises ConfigError."""
    env = environment(Path(folder), service)
    config = IdentityConfig.read(EnvReader(env), calls=service in IDENTITIES)
    return ServiceTokens(ServiceKeys.of(service, config), SystemClock())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
