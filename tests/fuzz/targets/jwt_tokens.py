"""Tokens of users, services and calls: refused in one documented way, whatever is in them and whoever signed it.

The first byte says what follows: the token itself, its header, or claims that the right key has signed.
"""

import asyncio
import base64
import hmac
import json
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from services.runtime.auth import ServiceTokens, UserTokens, is_user_id
from services.runtime.errors import Unauthenticated
from services.runtime.jwks import JwksKeys
from services.sfu.core.errors import JoinTokenExpired, JoinTokenInvalid
from services.sfu.core.ids import WorkerId
from services.sfu.tokens import JwtJoinTokens
from tests.support.clock import ManualClock

_KEY, _CLOCK = b"k" * 32, ManualClock()
_PRIVATE = Ed25519PrivateKey.from_private_bytes(_KEY)


async def _fetch() -> dict[str, object]:
    return {"keys": [{**json.loads(OKPAlgorithm.to_jwk(_PRIVATE.public_key())), "kid": "one", "alg": "EdDSA"}]}


_RUNNER = asyncio.Runner()
_USERS = UserTokens(JwksKeys(_fetch, _CLOCK), "https://network.example", "parley", _CLOCK)
_SERVICES = ServiceTokens(_KEY, "messaging", _CLOCK)
_JOINS = JwtJoinTokens(_KEY, WorkerId("w1"), _CLOCK)
_USER = b'{"sub":"alice","iss":"https://network.example","aud":"parley","exp":%d}' % (_CLOCK.now().timestamp() + 60)
_JOIN = (
    b'{"sub":"a","iss":"parley-signaling","aud":"parley-sfu","call":"c","device":"d","worker":"w1","jti":"j","exp":%d}'
    % (_CLOCK.now().timestamp() + 60)
)
SEEDS = (
    b"\x00" + _SERVICES.token().encode(),
    b"\x01" + b'{"alg":"EdDSA","kid":"one"}',
    b"\x01" + b'{"alg":"none","kid":7}',
    b"\x02" + _USER,
    b"\x03" + b'{"sub":"service:x","aud":"parley-internal","exp":9999999999}',
    b"\x03" + _JOIN,
    b"\x03" + b'{"sub":[],"aud":["parley-internal"],"exp":NaN,"nbf":Infinity}',
)
LINES_PER_BYTE = 400
_BY_NETWORK, _BY_US = b'{"alg":"EdDSA","kid":"one"}', b'{"alg":"HS256"}'


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _make(data: bytes) -> str:
    kind, rest = data[:1], data[1:]
    if kind == b"\x01":
        return f"{_part(rest)}.{_part(_USER)}.{_part(bytes(64))}"
    if kind == b"\x02":
        signed = f"{_part(_BY_NETWORK)}.{_part(rest)}"
        return f"{signed}.{_part(_PRIVATE.sign(signed.encode()))}"
    if kind == b"\x03":
        signed = f"{_part(_BY_US)}.{_part(rest)}"
        return f"{signed}.{_part(hmac.digest(_KEY, signed.encode(), sha256))}"
    return rest.decode("latin-1")


def fuzz(data: bytes) -> None:
    """Raises for anything but the documented refusals."""
    token = _make(data)
    try:
        assert is_user_id(_RUNNER.run(_USERS.verify(token)).user_id)
        assert data[:1] != b"\x03", "a key of ours signs for no user"
    except Unauthenticated:
        pass
    try:
        assert isinstance(_SERVICES.verify(token), str)
    except Unauthenticated:
        pass
    try:
        assert all(isinstance(part, str) for part in _JOINS.verify(token))
    except (JoinTokenInvalid, JoinTokenExpired):
        pass
