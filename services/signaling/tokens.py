"""Join tokens as JWTs (HS256; RFC 7519) with a key that signaling and the SFU share."""

from collections.abc import Sequence
from datetime import UTC, datetime

import jwt

from services.runtime.shared_keys import ALGORITHM, as_keys, decode
from services.signaling.core.errors import JoinTokenInvalid
from services.signaling.core.grants import Claims
from services.signaling.core.model import CallId, DeviceId, UserId, WorkerId

ISSUER = "parley-signaling"
AUDIENCE = "parley-sfu"
_CLAIMS = ("sub", "call", "device", "worker", "jti")


class JwtJoinTokens:
    """See ports.JoinTokens. Claims: iss, aud, sub (user), call, device, worker, exp, jti."""

    def __init__(self, key: bytes | Sequence[bytes]) -> None:
        self._keys = as_keys(key)

    def sign(self, claims: Claims) -> str:
        """See ports.JoinTokens."""
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": claims.user_id,
            "call": claims.call_id,
            "device": claims.device_id,
            "worker": claims.worker_id,
            "exp": int(claims.expire_time.timestamp()),
            "jti": claims.token_id,
        }
        return jwt.encode(payload, self._keys[0], algorithm=ALGORITHM)

    def read(self, token: str) -> Claims:
        """See ports.JoinTokens."""
        try:
            # The core judges the age, by its own clock.
            payload = decode(
                token, self._keys, audience=AUDIENCE, issuer=ISSUER, required=("iss", "aud", "exp", *_CLAIMS)
            )
            expire_time = datetime.fromtimestamp(int(payload["exp"]), UTC)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError) as error:
            raise JoinTokenInvalid("the token is not one of ours") from error
        if not all(isinstance(payload[name], str) for name in _CLAIMS):
            raise JoinTokenInvalid("the token is not one of ours")
        return Claims(
            call_id=CallId(payload["call"]),
            user_id=UserId(payload["sub"]),
            device_id=DeviceId(payload["device"]),
            worker_id=WorkerId(payload["worker"]),
            expire_time=expire_time,
            token_id=payload["jti"],
        )
