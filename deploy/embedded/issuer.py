"""The development issuer: stands for the social network's login.

Whoever asks gets a token, so it never runs in production.

GET  /.well-known/jwks.json  the key set
POST /dev/login              {"user_id": "alice", "ttl_s": 3600, "device_id": "phone-01"} -> {"token", "user_id",
                             "expires_at"}; with a device_id, which may be left out, the token is that device's
GET  /dev/users              {"users": [{"user_id", "name"}]}
POST /dev/rotate             a new signing key -> {"kid"}
GET  /admin/jwks.json        the key set of people's tokens, if there is one; who reads the key's file makes those, this
                             process gives none, and the edge does not lead here
GET  /healthz                200
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web

from deploy.embedded.keys import KeyRing
from services.runtime.device_ids import DEVICE_ID_RULE, is_device_id

ISSUER = "https://dev-issuer.parley.invalid"
AUDIENCE = "parley"
USERS = {"alice": "Alice Adler", "bob": "Bob Berger", "carol": "Carol Castro", "dave": "Dave Dupont"}
# Any well-formed user may log in, so that load tests can bring their own.
USER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DEFAULT_TTL_S = 3600
# A negative life gives a token that has expired already, for whoever tries what happens then.
SHORTEST_TTL_S = -86_400
LONGEST_TTL_S = 86_400
LONGEST_BODY_BYTES = 4096

RING = web.AppKey("ring", KeyRing)
ADMIN_JWKS = web.AppKey("admin_jwks", dict[str, Any])
ADMIN_JWKS_PATH = "/admin/jwks.json"


class LoginError(Exception):
    """The login request is malformed; the text says what is wrong with it."""


@dataclass(frozen=True)
class Login:
    """Who logs in, for how many seconds, and on which device, if that is said."""

    user_id: str
    ttl_s: int
    device_id: str = ""


def read_login(body: bytes) -> Login:
    """What a login request asks for. Raises LoginError."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise LoginError("The body must be JSON.") from None
    if not isinstance(fields, dict):
        raise LoginError("The body must be a JSON object.")
    user_id = fields.get("user_id")
    if not isinstance(user_id, str) or not USER_ID.fullmatch(user_id):
        raise LoginError("user_id must be 1 to 64 letters, digits, '_', '.' or '-'.")
    ttl_s = fields.get("ttl_s", DEFAULT_TTL_S)
    if not isinstance(ttl_s, int) or isinstance(ttl_s, bool) or not SHORTEST_TTL_S <= ttl_s <= LONGEST_TTL_S:
        raise LoginError(f"ttl_s must be a whole number from {SHORTEST_TTL_S} to {LONGEST_TTL_S}.")
    device_id = fields.get("device_id", "")
    if not isinstance(device_id, str) or (device_id and not is_device_id(device_id)):
        raise LoginError(f"device_id {DEVICE_ID_RULE}.")
    return Login(user_id, ttl_s, device_id)


def make_token(ring: KeyRing, user_id: str, *, now_s: int, ttl_s: int, device_id: str = "") -> str:
    """A JWT of the user, and of the device if one is named, signed by the current key (EdDSA)."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "iat": now_s, "exp": now_s + ttl_s}
    if device_id:
        claims["device_id"] = device_id
    return jwt.encode(claims, ring.current.private, algorithm="EdDSA", headers={"kid": ring.current.kid})


def make_app(ring: KeyRing, admin_keys: Path | None = None) -> web.Application:
    """The issuer over a ring of keys, and the public keys of people's tokens."""
    app = web.Application(client_max_size=LONGEST_BODY_BYTES)
    app[RING] = ring
    app[ADMIN_JWKS] = json.loads(admin_keys.read_text()) if admin_keys else {"keys": []}
    app.add_routes(
        [
            web.get("/.well-known/jwks.json", _jwks),
            web.post("/dev/login", _login),
            web.get("/dev/users", _users),
            web.post("/dev/rotate", _rotate),
            web.get(ADMIN_JWKS_PATH, _admin_jwks),
            web.get("/healthz", _healthz),
        ]
    )
    return app


async def _jwks(request: web.Request) -> web.Response:
    return web.json_response(request.app[RING].jwks(), headers={"Cache-Control": "max-age=60"})


async def _admin_jwks(request: web.Request) -> web.Response:
    return web.json_response(request.app[ADMIN_JWKS])


async def _login(request: web.Request) -> web.Response:
    try:
        login = read_login(await request.read())
    except LoginError as error:
        return web.json_response({"error": str(error)}, status=400)
    now_s = int(time.time())
    token = make_token(request.app[RING], login.user_id, now_s=now_s, ttl_s=login.ttl_s, device_id=login.device_id)
    expires_at = datetime.fromtimestamp(now_s + login.ttl_s, UTC).isoformat()
    answer = {"token": token, "user_id": login.user_id, "expires_at": expires_at}
    return web.json_response(answer, headers={"Cache-Control": "no-store"})


async def _users(_: web.Request) -> web.Response:
    return web.json_response({"users": [{"user_id": user_id, "name": name} for user_id, name in USERS.items()]})


async def _rotate(request: web.Request) -> web.Response:
    request.app[RING].rotate()
    return web.json_response({"kid": request.app[RING].current.kid})


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded.issuer")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--admin-keys", type=Path, help="a file with the public keys of people's tokens")
    arguments = parser.parse_args()
    app = make_app(KeyRing(arguments.keys), arguments.admin_keys)
    web.run_app(app, host=arguments.host, port=arguments.port, print=None)


if __name__ == "__main__":
    main()
