"""Join tokens: HS256 JWTs (RFC 7519) that signaling makes and one worker takes."""

from collections.abc import Sequence

import jwt

from services.runtime.clock import CLOCK_SKEW_S, Clock
from services.runtime.shared_keys import as_keys, decode
from services.sfu.core.errors import JoinTokenExpired, JoinTokenInvalid
from services.sfu.core.ids import CallId, DeviceId, ParticipantKey, UserId, WorkerId

ISSUER = "parley-signaling"
AUDIENCE = "parley-sfu"
_STRINGS = ("sub", "call", "device", "worker", "jti")
# A token is a few hundred bytes, an id far less; what is longer is not one of ours.
_MAX_TOKEN_SIZE = 4096
_MAX_ID_SIZE = 256


class JwtJoinTokens:
    """See ports.JoinTokens. Claims: iss, aud, sub (user), call, device, worker, exp, jti."""

    def __init__(self, key: bytes | Sequence[bytes], worker_id: WorkerId, clock: Clock) -> None:
        self._keys = as_keys(key)
        self._worker_id = worker_id
        self._clock = clock

    def verify(self, token: str) -> ParticipantKey:
        """See ports.JoinTokens."""
        if len(token) > _MAX_TOKEN_SIZE:
            raise JoinTokenInvalid("the join token is not valid")
        try:
            claims = decode(
                token, self._keys, audience=AUDIENCE, issuer=ISSUER, required=("iss", "aud", "exp", *_STRINGS)
            )
            expires_at = float(claims["exp"])
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise JoinTokenInvalid("the join token is not valid") from error
        values = [claims[name] for name in _STRINGS]
        if not all(isinstance(value, str) and 0 < len(value) <= _MAX_ID_SIZE for value in values):
            raise JoinTokenInvalid("the join token is not valid")
        if claims["worker"] != self._worker_id:
            raise JoinTokenInvalid("the join token is for another worker")
        # `not <`: a NaN counts as expired.
        if not self._clock.now().timestamp() < expires_at + CLOCK_SKEW_S:
            raise JoinTokenExpired("the join token has expired")
        return ParticipantKey(CallId(claims["call"]), UserId(claims["sub"]), DeviceId(claims["device"]))
