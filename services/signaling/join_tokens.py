"""Join tokens as JWTs (RFC 7519), signed with signaling's own Ed25519 key: the SFU can check them and make none."""

from datetime import UTC, datetime

import jwt

from services.runtime.identity.service_keys import ServiceKeys
from services.signaling.core.errors import JoinTokenInvalid
from services.signaling.core.grants import Claims
from services.signaling.core.model import CallId, DeviceId, UserId, WorkerId

ISSUER = "parley-signaling"
AUDIENCE = "parley-sfu"
KIND = "parley-join+jwt"
_CLAIMS = ("sub", "call", "device", "worker", "jti")


class JwtJoinTokens:
    """See ports.JoinTokens. Claims: iss, aud, sub (user), call, device, worker, iat, exp, jti."""

    def __init__(self, keys: ServiceKeys) -> None:
        self._keys = keys

    def sign(self, claims: Claims) -> str:
        """See ports.JoinTokens."""
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": claims.user_id,
            "call": claims.call_id,
            "device": claims.device_id,
            "worker": claims.worker_id,
            "iat": int(claims.issue_time.timestamp()),
            "exp": int(claims.expire_time.timestamp()),
            "jti": claims.token_id,
        }
        return self._keys.sign(payload, KIND)

    def read(self, token: str) -> Claims:
        """See ports.JoinTokens."""
        try:
            # The core judges the age, by its own clock.
            required = ("iss", "aud", "iat", "exp", *_CLAIMS)
            signer, payload = self._keys.decode(token, KIND, audience=AUDIENCE, issuer=ISSUER, required=required)
            issue_time = datetime.fromtimestamp(int(payload["iat"]), UTC)
            expire_time = datetime.fromtimestamp(int(payload["exp"]), UTC)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError) as error:
            raise JoinTokenInvalid from error
        if signer != self._keys.service or not all(isinstance(payload[name], str) for name in _CLAIMS):
            raise JoinTokenInvalid
        return Claims(
            call_id=CallId(payload["call"]),
            user_id=UserId(payload["sub"]),
            device_id=DeviceId(payload["device"]),
            worker_id=WorkerId(payload["worker"]),
            issue_time=issue_time,
            expire_time=expire_time,
            token_id=payload["jti"],
        )
