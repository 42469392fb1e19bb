"""The Ed25519 keys by which services sign and are known: JWK sets (RFC 7517, RFC 8037) in files that are read again.

A public key has the member `parley_service`: it speaks for that service and for no other, whatever a token says of
itself. A service that calls nobody has no private key.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.runtime.config import IdentityConfig
from services.runtime.identity.token_times import options
from services.runtime.watched import Watched

ALGORITHM = "EdDSA"
OWNER = "parley_service"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of one service."""

    key_id: str
    private: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class OwnedKey:
    """A public key and the one service for which it speaks."""

    service: str
    public: Ed25519PublicKey


class ServiceKeys:
    """The private keys of `service` (the first signs), and the public keys of all, by key id.

    Both files are looked at whenever they are used, so keys are replaced without a restart. A file that is faulty is
    logged, and what it held before goes on to serve. Raises ConfigError when it is faulty at the start.
    """

    def __init__(self, service: str, public_file: str, private_file: str = "") -> None:
        self.service = service
        self._public = Watched("service_keys", [public_file], lambda read: read_public(read[0]))
        self._private = (
            Watched("service_keys", [private_file], lambda read: read_private(read[0], service))
            if private_file
            else None
        )

    @classmethod
    def of(cls, service: str, config: IdentityConfig) -> "ServiceKeys":
        """The keys that are configured. Raises ConfigError."""
        return cls(service, config.public_keys_file, config.private_keys_file)

    def sign(self, claims: Mapping[str, Any], kind: str) -> str:
        """A JWT of the `kind` (`typ`; RFC 8725, section 3.11). Raises LookupError without a private key."""
        if self._private is None:
            raise LookupError(f"{self.service} has no private key: it calls nobody")
        key = self._private.get()[0]
        return jwt.encode(dict(claims), key.private, algorithm=ALGORITHM, headers={"kid": key.key_id, "typ": kind})

    def signing_key_id(self) -> str:
        """The id of the key that signs now. Raises LookupError without one."""
        if self._private is None:
            raise LookupError(f"{self.service} has no private key: it calls nobody")
        return self._private.get()[0].key_id

    def decode(
        self, token: str, kind: str, *, audience: str, required: tuple[str, ...], issuer: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Who signed the token, and its claims; times are not judged. Raises jwt.PyJWTError, ValueError."""
        header = jwt.get_unverified_header(token)
        if header.get("typ") != kind:
            raise jwt.InvalidTokenError("a token of another kind")
        owned = self._public.get().get(str(header.get("kid", "")))
        if owned is None:
            raise jwt.InvalidKeyError("signed with a key that is nobody's")
        claims = jwt.decode(
            token,
            owned.public,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=issuer,
            options={**options(*required), "strict_aud": True},
        )
        return owned.service, claims


def read_private(text: str | bytes, service: str) -> tuple[SigningKey, ...]:
    """The private keys in a JWK set, in their order. Raises ValueError; no message holds a key."""
    found = entries(text)
    if any(entry.get(OWNER) != service for entry in found):
        raise ValueError(f"holds a key that is not of {service}")
    return tuple(SigningKey(key_id_of(entry), _private(entry)) for entry in found)


def read_public(text: str | bytes) -> dict[str, OwnedKey]:
    """The public keys in a JWK set, by id. Raises ValueError, also for an id of two keys and for a private key."""
    keys: dict[str, OwnedKey] = {}
    for entry in entries(text):
        key_id, service = key_id_of(entry), entry.get(OWNER)
        if not isinstance(service, str) or not service:
            raise ValueError(f"a key has no {OWNER}")
        if key_id in keys:
            raise ValueError("two keys have one kid")
        keys[key_id] = OwnedKey(service, public_key(entry))
    return keys


def entries(text: str | bytes, *, may_be_empty: bool = False) -> list[dict[str, Any]]:
    """The keys of a JWK set, unread. Raises ValueError."""
    document = json.loads(text)
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError("is not a JWK set")
    if not found and not may_be_empty:
        raise ValueError("is a JWK set without keys")
    return found


def key_id_of(entry: Mapping[str, Any]) -> str:
    """The id of a key. Raises ValueError without one."""
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise ValueError("a key has no kid")
    return key_id


def _private(entry: dict[str, Any]) -> Ed25519PrivateKey:
    key = _jwk(entry)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("a key is not a private Ed25519 key")
    return key


def public_key(entry: dict[str, Any]) -> Ed25519PublicKey:
    """The key itself. Raises ValueError, also for a private one."""
    key = _jwk(entry)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a key is not a public Ed25519 key")
    return key


def _jwk(entry: dict[str, Any]) -> object:
    try:
        return jwt.PyJWK(entry, algorithm=ALGORITHM).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise ValueError("a key is not an Ed25519 JWK") from None
