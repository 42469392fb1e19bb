"""Join tokens: JWTs (RFC 7519, Ed25519) that signaling signs and one worker takes. A worker can sign none."""

import jwt

from services.runtime.clock import Clock
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.identity.token_times import check_life, check_times, is_expired
from services.sfu.core.errors import JoinTokenExpired, JoinTokenInvalid
from services.sfu.core.ids import CallId, DeviceId, ParticipantKey, UserId, WorkerId

ISSUER = "parley-signaling"
AUDIENCE = "parley-sfu"
KIND = "parley-join+jwt"
SIGNER = "signaling"
# The longest life that signaling can be told to give (PARLEY_JOIN_TOKEN_TTL_S).
LONGEST_LIFE_S = 600.0
_STRINGS = ("sub", "call", "device", "worker", "jti")
# A token is a few hundred bytes, an id far less; what is longer is not one of ours.
_MAX_TOKEN_SIZE = 4096
_MAX_ID_SIZE = 256


class JwtJoinTokens:
    """See ports.JoinTokens. Claims: iss, aud, sub (user), call, device, worker, iat, exp, jti."""

    def __init__(self, keys: ServiceKeys, worker_id: WorkerId, clock: Clock) -> None:
        self._keys = keys
        self._worker_id = worker_id
        self._clock = clock

    def verify(self, token: str) -> ParticipantKey:
        """See ports.JoinTokens."""
        if len(token) > _MAX_TOKEN_SIZE:
            raise JoinTokenInvalid("the join token is not valid")
        try:
            required = ("iss", "aud", "iat", "exp", *_STRINGS)
            signer, claims = self._keys.decode(token, KIND, audience=AUDIENCE, issuer=ISSUER, required=required)
            expires_at = check_times(claims, self._clock)
            check_life(claims, LONGEST_LIFE_S, self._clock)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise JoinTokenInvalid("the join token is not valid") from error
        values = [claims[name] for name in _STRINGS]
        if signer != SIGNER or not all(isinstance(value, str) and 0 < len(value) <= _MAX_ID_SIZE for value in values):
            raise JoinTokenInvalid("the join token is not valid")
        if claims["worker"] != self._worker_id:
            raise JoinTokenInvalid("the join token is for another worker")
        if is_expired(expires_at, self._clock):
            raise JoinTokenExpired("the join token has expired")
        return ParticipantKey(CallId(claims["call"]), UserId(claims["sub"]), DeviceId(claims["device"]))
