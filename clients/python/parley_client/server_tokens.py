"""How a server signs its own tokens, with the private key that its operator gave it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt

_KIND = "parley-server+jwt"
# No longer life is believed.
_TOKEN_LIFE_S = 300.0


class KeyFileError(Exception):
    """The file of the server's key cannot be used. No message holds a key."""


class ServerTokens:
    """Signs the server's tokens, one for each gRPC service that is called, and anew in good time.

    `key_file` is a JWK set with the private Ed25519 key, as `python -m deploy.server_keys` writes it. Its first key of
    the name signs. It is read again for each token, so a key is replaced without a restart.
    """

    def __init__(self, key_file: Path, name: str, clock: Callable[[], float] = time.time) -> None:
        self._key_file = key_file
        self._name = name
        self._clock = clock
        # By audience: the token, and when it was made.
        self._made: dict[str, tuple[str, float]] = {}
        self._read_key()

    def token(self, audience: str) -> str:
        """For calls of the gRPC service with this full name. Raises KeyFileError."""
        now = self._clock()
        token, made_at = self._made.get(audience, ("", 0.0))
        # Half of its life is left for the call, and for clocks that differ.
        if not token or not 0 <= now - made_at < _TOKEN_LIFE_S / 2:
            key = self._read_key()
            subject = f"server:{self._name}"
            claims = {"iss": subject, "sub": subject, "aud": audience}
            times = {"iat": int(now), "exp": int(now + _TOKEN_LIFE_S)}
            headers = {"kid": key["kid"], "typ": _KIND}
            token = jwt.encode(
                claims | times, jwt.PyJWK(key, algorithm="EdDSA").key, algorithm="EdDSA", headers=headers
            )
            self._made[audience] = (token, now)
        return token

    def _read_key(self) -> dict[str, Any]:
        try:
            keys = json.loads(self._key_file.read_text())["keys"]
            key: dict[str, Any] = next(each for each in keys if each["parley_server"] == self._name)
            jwt.PyJWK(key, algorithm="EdDSA")
        except StopIteration:
            raise KeyFileError(f"{self._key_file} has no key of {self._name}") from None
        except OSError as error:
            raise KeyFileError(f"{self._key_file} cannot be read: {error.strerror}") from None
        except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            raise KeyFileError(f"{self._key_file} is no set of private keys: {type(error).__name__}") from None
        if "d" not in key or "kid" not in key:
            raise KeyFileError(f"the key of {self._name} in {self._key_file} is not a private one with a kid")
        return key
