"""What an operator shows to the admin services."""

import json
from collections.abc import Sequence
from pathlib import Path

import jwt

from services.runtime.clock import SystemClock
from services.runtime.env import ConfigError

# Of a stack on this machine, whose key stands in its own folder.
ISSUER = "https://dev-admins.parley.invalid"
AUDIENCE = "parley-admin"
_LIFE_S = 600


class TokenFile:
    """A token that the organisation's own login has put into a file; read at each call, so that it may be renewed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.token("")

    def token(self, _audience: str) -> str:
        """The token; it is for all admin services. Raises ConfigError."""
        try:
            return self._path.read_text().strip()
        except (OSError, ValueError) as error:
            raise ConfigError([f"PARLEY_ADMIN_TOKEN_FILE cannot be read: {error}"]) from error


class DevelopmentAdmin:
    """Somebody who may read the folder of a stack, and so holds the key of its admin issuer."""

    def __init__(self, key_file: Path, roles: Sequence[str], subject: str = "developer") -> None:
        self._roles = roles
        self._subject = subject
        try:
            self._key = json.loads(key_file.read_text())["keys"][0]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError([f"{key_file} is not the key of a running stack: {type(error).__name__}"]) from error

    def token(self, _audience: str) -> str:
        """A new token; it is for all admin services."""
        now = int(SystemClock().now().timestamp())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": self._subject, "iat": now, "exp": now + _LIFE_S}
        key = jwt.PyJWK(self._key, algorithm="EdDSA").key
        return jwt.encode(
            claims | {"roles": list(self._roles)}, key, algorithm="EdDSA", headers={"kid": self._key["kid"]}
        )
