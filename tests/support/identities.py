"""Keys of all who call services, in files of this test run."""

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jwt

from deploy import identities
from services.runtime.clock import Clock, SystemClock
from services.runtime.identity.auth import ServiceTokens
from services.runtime.identity.service_keys import ServiceKeys

FOLDER = Path(tempfile.mkdtemp(prefix="parley-identities-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
identities.write(FOLDER, identities.key_sets())


def environment(service: str) -> dict[str, str]:
    """What the service is told of its keys."""
    return identities.environment(FOLDER, service)


def keys_of(service: str, folder: Path = FOLDER) -> ServiceKeys:
    """The keys that the service holds; without a private one if it calls nobody."""
    private = folder / f"{service}.json"
    return ServiceKeys(service, str(folder / f"{identities.PUBLIC}.json"), str(private) if private.exists() else "")


def tokens_of(service: str, clock: Clock | None = None, folder: Path = FOLDER) -> ServiceTokens:
    """What the service signs and checks with."""
    return ServiceTokens(keys_of(service, folder), clock or SystemClock())


def sign(service: str, claims: dict[str, Any], kind: str, folder: Path = FOLDER, **header: str) -> str:
    """Whatever the holder of the service's key may write."""
    key = json.loads((folder / f"{service}.json").read_text())["keys"][0]
    headers = {"kid": key["kid"], "typ": kind} | header
    return jwt.encode(claims, jwt.PyJWK(key, algorithm="EdDSA").key, algorithm="EdDSA", headers=headers)
