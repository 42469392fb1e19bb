"""People who run Parley, as tests meet them: an issuer of theirs, and what the services know of it."""

import json
import time
from pathlib import Path
from typing import Any

import jwt

from deploy import identities
from deploy.embedded.record import StackRecord
from services.ops.credentials import AUDIENCE, ISSUER, DevelopmentAdmin
from services.runtime.clock import Clock, SystemClock
from services.runtime.identity.admin import ADMIN_MAX_LIFE_S
from services.runtime.identity.auth import UserTokens
from services.runtime.identity.jwks import JwksKeys
from tests.support.identities import FOLDER

identities.write(FOLDER / "admin", identities.admin_key_sets())
KEY_FILE = FOLDER / "admin" / "private.json"

PUBLIC_KEYS = FOLDER / "admin" / f"{identities.PUBLIC}.json"


async def _public_keys() -> dict[str, Any]:
    keys: dict[str, Any] = json.loads(PUBLIC_KEYS.read_text())
    return keys


def verifier(clock: Clock | None = None) -> UserTokens:
    """What a service checks people's tokens with."""
    clock = clock or SystemClock()
    keys = JwksKeys(_public_keys, clock)
    return UserTokens(
        *(keys, ISSUER, AUDIENCE, clock), max_life_s=ADMIN_MAX_LIFE_S, device_claim="", roles_claim="roles"
    )


def sign(**claims: Any) -> str:
    """A token that the issuer might give; a claim of None is left out."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "olga", "roles": [], "iat": now, "exp": now + 600}
    key = json.loads(KEY_FILE.read_text())["keys"][0]
    written = {name: value for name, value in (usual | claims).items() if value is not None}
    return jwt.encode(written, jwt.PyJWK(key, algorithm="EdDSA").key, algorithm="EdDSA", headers={"kid": key["kid"]})


def admin(*roles: str, subject: str = "olga") -> DevelopmentAdmin:
    """A person's credentials for a channel."""
    return DevelopmentAdmin(KEY_FILE, roles, subject)


def admin_of(record: StackRecord, *roles: str) -> DevelopmentAdmin:
    """A person of a running stack."""
    return DevelopmentAdmin(Path(record.admin_key_file), roles)
