"""Who is calling: users by the network's JWTs (EdDSA or RS256, keys from its JWKS), services by keys of their own."""

from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import NewType

import jwt

from services.runtime.clock import CLOCK_SKEW_S, Clock
from services.runtime.errors import Unauthenticated
from services.runtime.jwks import JwksKeys
from services.runtime.service_keys import ServiceKeys
from services.runtime.times import check_life, check_times, is_expired, options

UserId = NewType("UserId", str)

USER_ALGORITHMS = ["EdDSA", "RS256"]
# The `typ` of service tokens.
SERVICE_KIND = "parley-service+jwt"
# Raising it lets a token that leaked serve for longer; lowering it makes more signatures. No longer life is believed.
SERVICE_TOKEN_TTL_S = 300
MAX_USER_ID_CHARS = 64

# Verified tokens that are remembered, so that a busy device does not pay a signature check a call.
TOKEN_CACHE_SIZE = 20_000


@dataclass(frozen=True, slots=True)
class UserToken:
    """A verified token: whose it is and until when (Unix seconds)."""

    user_id: UserId
    expires_at: float


_caller: ContextVar[UserToken | None] = ContextVar("parley_caller", default=None)


def current_token() -> UserToken:
    """The verified token of the RPC being served. Raises LookupError outside of a user's RPC, which is a bug."""
    token = _caller.get()
    if token is None:
        raise LookupError("no user in this context")
    return token


def current_user() -> UserId:
    """The user whose RPC is being served. Raises LookupError as current_token does."""
    return current_token().user_id


def set_current_token(token: UserToken | None) -> None:
    """Bind the caller of this RPC to the context."""
    _caller.set(token)


def bearer_token(metadata: dict[str, str]) -> str:
    """The token of `authorization: Bearer …`. Raises Unauthenticated (TOKEN_MISSING) without one."""
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("TOKEN_MISSING", "send metadata 'authorization: Bearer <token>'")
    return token.strip()


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that was found good, and the key by which it was."""

    token: UserToken
    key_id: str
    key: jwt.PyJWK


class UserTokens:
    """Checks users' tokens: signature, issuer, audience, times, subject."""

    def __init__(self, keys: JwksKeys, issuer: str, audience: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        # By digest: a token is ten times as long, and a secret.
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def verify(self, token: str) -> UserToken:
        """The token's user. Raises Unauthenticated (TOKEN_INVALID, TOKEN_EXPIRED), KeysUnavailable."""
        digest = sha256(token.encode()).digest()
        known = self._verified.get(digest)
        # A remembered token is no better than its key, which may have been withdrawn or replaced since.
        if known is None or await self._keys.find(known.key_id) is not known.key:
            self._verified.pop(digest, None)
            known = await self._check(token)
            self._verified[digest] = known
            if len(self._verified) > TOKEN_CACHE_SIZE:
                self._verified.popitem(last=False)
        if is_expired(known.token.expires_at, self._clock):
            self._verified.pop(digest, None)
            raise Unauthenticated("TOKEN_EXPIRED", "the token has expired")
        return known.token

    async def _check(self, token: str) -> _Verified:
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid", ""))
            key = await self._keys.find(key_id)
            if key is None:
                raise Unauthenticated("TOKEN_INVALID", "the token is signed with a key that the network does not have")
            claims = jwt.decode(
                token,
                key=key,
                algorithms=USER_ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                options=options("exp", "iss", "aud", "sub"),
            )
            expires_at = check_times(claims, self._clock)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("TOKEN_INVALID", f"the token is not valid: {error}") from error
        user_id = claims["sub"]
        if not (isinstance(user_id, str) and is_user_id(user_id)):
            raise Unauthenticated("TOKEN_INVALID", "the token's subject is not a user id")
        return _Verified(UserToken(UserId(user_id), expires_at), key_id, key)


def is_user_id(value: str) -> bool:
    """Whether the value can be a user's id: 1 to 64 printable ASCII characters without spaces."""
    return 0 < len(value) <= MAX_USER_ID_CHARS and value.isascii() and value.isprintable() and " " not in value


class ServiceTokens:
    """Makes and checks the tokens by which Parley's services know each other (EdDSA; see service_keys.py).

    Claims: iss and sub (`service:<name>`), aud (the full name of the gRPC service that is called: who gets a token
    cannot use it elsewhere), iat, exp.
    """

    def __init__(self, keys: ServiceKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        # By the service that is called.
        self._made: dict[str, _Made] = {}

    def token(self, audience: str) -> str:
        """A token for calls of the gRPC service `audience`, good for at least half of its life from now on."""
        elapsed_s = self._clock.monotonic()
        now = self._clock.now().timestamp()
        key_id = self._keys.signing_key_id()
        made = self._made.get(audience)
        if made is None or made.key_id != key_id or not made.is_fresh(elapsed_s, now):
            subject = f"service:{self._keys.service}"
            claims = {"iss": subject, "sub": subject, "aud": audience}
            times = {"iat": int(now), "exp": int(now) + SERVICE_TOKEN_TTL_S}
            made = _Made(self._keys.sign(claims | times, SERVICE_KIND), key_id, elapsed_s, now)
            self._made[audience] = made
        return made.token

    def verify(self, token: str, audience: str) -> str:
        """The name of the service that calls `audience`. Raises Unauthenticated."""
        try:
            required = ("iss", "sub", "aud", "iat", "exp")
            service, claims = self._keys.decode(token, SERVICE_KIND, audience=audience, required=required)
            if not claims["iss"] == claims["sub"] == f"service:{service}":
                raise ValueError("the key speaks for another service")
            expires_at = check_life(claims, self._clock, SERVICE_TOKEN_TTL_S)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("TOKEN_INVALID", "this call takes a service token") from error
        if is_expired(expires_at, self._clock):
            raise Unauthenticated("TOKEN_EXPIRED", "the service token has expired")
        return service


@dataclass(frozen=True, slots=True)
class _Made:
    """A token of ours, the key that signed it, and by both clocks (seconds) when."""

    token: str
    key_id: str
    made_at: float
    made_unix: float

    def is_fresh(self, monotonic_s: float, unix_s: float) -> bool:
        """Whether half of its life is left and this host's clock was not set since."""
        elapsed_s = monotonic_s - self.made_at
        was_set = abs(unix_s - self.made_unix - elapsed_s) > CLOCK_SKEW_S
        return not was_set and elapsed_s < SERVICE_TOKEN_TTL_S / 2
