"""Servers of the back office, as tests meet them: keys in a folder, and tokens that may hold anything."""

from pathlib import Path
from typing import Any

import jwt

from deploy import identities, server_keys
from services.runtime.clock import Clock
from services.runtime.identity.server_keys import SERVER_KIND, SERVER_TOKEN_MAX_LIFE_S, ServerTokens


def written(folder: Path, *keys: server_keys.Jwk) -> Path:
    """The file of public keys, with these in it."""
    public = [server_keys.public_of(key) for key in keys]
    identities.write(folder, {server_keys.PUBLIC: server_keys.document(public)})
    return folder / f"{server_keys.PUBLIC}.json"


def tokens_of(folder: Path, clock: Clock, *keys: server_keys.Jwk) -> ServerTokens:
    """What a service checks servers' tokens with."""
    return ServerTokens(str(written(folder, *keys)), clock)


def claims(key: server_keys.Jwk, now: float, audience: str, **changes: Any) -> dict[str, Any]:
    """What an honest server says of itself; a change to None leaves a claim out."""
    subject = f"server:{key['parley_server']}"
    times = {"iat": int(now), "exp": int(now + SERVER_TOKEN_MAX_LIFE_S)}
    said = {"iss": subject, "sub": subject, "aud": audience, **times, **changes}
    return {name: value for name, value in said.items() if value is not None}


def sign(key: server_keys.Jwk, said: dict[str, Any], kind: str = SERVER_KIND, **header: str) -> str:
    """Whatever the holder of the key may write."""
    private = jwt.PyJWK(key, algorithm="EdDSA").key
    return jwt.encode(said, private, algorithm="EdDSA", headers={"kid": key["kid"], "typ": kind} | header)
