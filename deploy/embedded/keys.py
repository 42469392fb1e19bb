"""The development issuer's signing keys: Ed25519, kept in a file so that tokens outlive a restart."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# How many keys the key set shows: the one that signs, and the one before, whose tokens are still good.
KEPT_KEYS = 2


@dataclass(frozen=True)
class SigningKey:
    """One key with its id."""

    kid: str
    private: Ed25519PrivateKey

    def jwk(self) -> dict[str, str]:
        """The public half, as RFC 8037 section 2 writes it."""
        public = self.private.public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": x}


class KeyRing:
    """The keys in a file, newest first; the newest signs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = self._load() if path.exists() else []
        if not self._keys:
            self.rotate()

    @property
    def current(self) -> SigningKey:
        """The key that signs."""
        return self._keys[0]

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The key set, as RFC 7517 section 5 writes it."""
        return {"keys": [key.jwk() for key in self._keys]}

    def rotate(self) -> None:
        """Makes a new signing key; the one before stays in the key set, older ones leave it."""
        fresh = SigningKey(kid=secrets.token_hex(8), private=Ed25519PrivateKey.generate())
        self._keys = [fresh, *self._keys][:KEPT_KEYS]
        self._save()

    def _load(self) -> list[SigningKey]:
        rows = json.loads(self._path.read_text())
        private = Ed25519PrivateKey.from_private_bytes
        return [SigningKey(row["kid"], private(bytes.fromhex(row["seed"]))) for row in rows]

    def _save(self) -> None:
        rows = [{"kid": key.kid, "seed": key.private.private_bytes_raw().hex()} for key in self._keys]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(rows, file)
        unfinished.replace(self._path)
