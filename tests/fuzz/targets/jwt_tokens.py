"""Tokens of users, services and calls: refused in one documented way, whatever is in them and whoever signed it.

The first byte says what follows: the token itself, its header, or claims that a right key has signed: the network's,
the gateway's (service tokens), signaling's (join tokens).
"""

import base64
import json
from contextlib import suppress
from typing import cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from services.runtime.errors import Unauthenticated
from services.runtime.identity.auth import SERVICE_KIND, UserTokens
from services.runtime.identity.jwks import JwksKeys
from services.runtime.user_ids import is_user_id
from services.sfu.core.errors import JoinTokenExpired, JoinTokenInvalid
from services.sfu.core.ids import WorkerId
from services.sfu.tokens import KIND, JwtJoinTokens
from tests.support.clock import ManualClock
from tests.support.identities import FOLDER, keys_of, tokens_of

_KEY, _CLOCK = b"k" * 32, ManualClock()
_PRIVATE = Ed25519PrivateKey.from_private_bytes(_KEY)


class _Keys:
    """Has one key at once, so that a check ends without waiting."""

    _key = jwt.PyJWK({**json.loads(OKPAlgorithm.to_jwk(_PRIVATE.public_key())), "kid": "one", "alg": "EdDSA"})

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        return self._key if key_id == "one" else None


_USERS = UserTokens(cast(JwksKeys, _Keys()), "https://network.example", "parley", _CLOCK)
_AUDIENCE = "parley.messaging.v1.MembershipService"
_SERVICES = tokens_of("messaging", _CLOCK)
_JOINS = JwtJoinTokens(keys_of("sfu"), WorkerId("w1"), _CLOCK)
_NOW = int(_CLOCK.now().timestamp())
_USER = b'{"sub":"alice","iss":"https://network.example","aud":"parley","iat":%d,"exp":%d}' % (_NOW, _NOW + 60)
_JOIN = (
    b'{"sub":"a","iss":"parley-signaling","aud":"parley-sfu","call":"c","device":"d","worker":"w1","jti":"j","iat":%d,"exp":%d}'
    % (_NOW, _NOW + 60)
)
_SERVICE = b'{"iss":"service:gateway","sub":"service:gateway","aud":"%s","iat":%d,"exp":%d}' % (
    _AUDIENCE.encode(),
    _NOW,
    _NOW + 60,
)
SEEDS = (
    b"\x00" + tokens_of("gateway", _CLOCK).token(_AUDIENCE).encode(),
    b"\x01" + b'{"alg":"EdDSA","kid":"one"}',
    b"\x01" + b'{"alg":"none","kid":7}',
    b"\x02" + _USER,
    b"\x03" + _SERVICE,
    b"\x03" + b'{"sub":[],"aud":["parley.messaging.v1.MembershipService"],"exp":NaN,"nbf":Infinity}',
    b"\x04" + _JOIN,
)
LINES_PER_BYTE = 400
_BY_NETWORK = b'{"alg":"EdDSA","kid":"one"}'


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signer(service: str, kind: str) -> tuple[bytes, Ed25519PrivateKey]:
    """The header that belongs to the service's key, and the key."""
    key = json.loads((FOLDER / f"{service}.json").read_text())["keys"][0]
    header = json.dumps({"alg": "EdDSA", "kid": key["kid"], "typ": kind})
    return header.encode(), jwt.PyJWK(key, algorithm="EdDSA").key


_OURS = {b"\x03": _signer("gateway", SERVICE_KIND), b"\x04": _signer("signaling", KIND)}


def _make(data: bytes) -> str:
    kind, rest = data[:1], data[1:]
    if kind == b"\x01":
        return f"{_part(rest)}.{_part(_USER)}.{_part(bytes(64))}"
    if kind == b"\x02":
        signed = f"{_part(_BY_NETWORK)}.{_part(rest)}"
        return f"{signed}.{_part(_PRIVATE.sign(signed.encode()))}"
    if kind in _OURS:
        header, key = _OURS[kind]
        signed = f"{_part(header)}.{_part(rest)}"
        return f"{signed}.{_part(key.sign(signed.encode()))}"
    return rest.decode("latin-1")


def _user_of(token: str) -> str | None:
    try:
        _USERS.verify(token).send(None)
    except StopIteration as answer:
        user_id: str = answer.value.user_id
        return user_id
    except Unauthenticated:
        return None
    raise AssertionError("the check waits for somebody")


def fuzz(data: bytes) -> None:
    """Raises for anything but the documented refusals."""
    token = _make(data)
    user_id = _user_of(token)
    assert user_id is None or (is_user_id(user_id) and data[:1] not in _OURS), "a key of ours signs for no user"
    with suppress(Unauthenticated):
        assert _SERVICES.verify(token, _AUDIENCE) == "gateway" or data[:1] == b"\x00"
    with suppress(JoinTokenInvalid, JoinTokenExpired):
        assert all(isinstance(part, str) for part in _JOINS.verify(token))
