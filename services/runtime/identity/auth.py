"""Who is calling: users by the network's JWTs (EdDSA or RS256, keys from its JWKS), services by keys of their own."""

from collections import OrderedDict
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NewType, Protocol

import jwt

from services.runtime.clock import CLOCK_SKEW_S, Clock
from services.runtime.config import ServerConfig
from services.runtime.errors import InvalidRequest, Unauthenticated
from services.runtime.identity.jwks import JwksKeys, http_jwks
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.identity.token_times import (
    check_life,
    check_self_signed,
    check_times,
    is_expired,
    options,
)
from services.runtime.user_ids import is_user_id

UserId = NewType("UserId", str)

USER_ALGORITHMS = ["EdDSA", "RS256"]
# The `typ` of service tokens.
SERVICE_KIND = "parley-service+jwt"
# Raising it lets a token that leaked serve for longer; lowering it makes more signatures. No longer life is believed.
SERVICE_TOKEN_TTL_S = 300
# How long a user's token may live at most, unless configured otherwise.
MAX_LIFE_S = 86_400.0
# The claim that names the device to which the network issued a token. Optional.
DEVICE_CLAIM = "device_id"

# Verified tokens that are remembered, so that a busy device does not pay a signature check a call.
TOKEN_CACHE_SIZE = 20_000


class Standings(Protocol):
    """Whether an account stands open to a token. It is asked at each call, and so waits for nothing."""

    def check(self, token: "UserToken", device_id: str = "") -> None:
        """Raises what refuses the call; `device_id` is the one that the request names."""


@dataclass(frozen=True, slots=True)
class UserToken:
    """A verified token: whose it is, since when and until when (Unix seconds), and which device's, if it says so."""

    user_id: UserId
    expires_at: float
    issued_at: float = 0.0
    device_id: str = ""
    standings: Standings | None = field(default=None, compare=False, repr=False)
    # What a person may do at the admin services; of users there are none.
    roles: frozenset[str] = frozenset()

    def require_device(self, device_id: str) -> None:
        """Whether this token may speak for the device that a request names, now; what lasts asks again later.

        Raises InvalidRequest when it is another device's, Unauthenticated (TOKEN_REVOKED), AccountDeleted.
        """
        if self.device_id and self.device_id != device_id:
            raise InvalidRequest("device_id", "is not the device to which the token was issued")
        if self.standings:
            self.standings.check(self, device_id)


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


def bearer_token(metadata: Mapping[str, str]) -> str:
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
    """Checks users' tokens: signature, issuer, audience, times, life, subject, and that nobody revoked them.

    A token lives at most `max_life_s`, whatever it says: so long, and no longer, a revocation must be remembered.
    """

    def __init__(
        self,
        keys: JwksKeys,
        issuer: str,
        audience: str,
        clock: Clock,
        standings: Standings | None = None,
        *,
        max_life_s: float = MAX_LIFE_S,
        device_claim: str = DEVICE_CLAIM,
        roles_claim: str = "",
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._standings = standings
        self._max_life_s = max_life_s
        self._device_claim = device_claim
        self._roles_claim = roles_claim
        # By digest: a token is ten times as long, and a secret.
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    @classmethod
    def of(cls, config: ServerConfig, clock: Clock, standings: Standings | None) -> "UserTokens":
        """The network's tokens, as the server is configured; without `standings` each is good until it expires."""
        return cls(
            JwksKeys(http_jwks(config.jwks_url), clock),
            config.jwt_issuer,
            config.jwt_audience,
            clock,
            standings,
            max_life_s=config.jwt_max_life_s,
            device_claim=config.jwt_device_claim,
        )

    async def verify(self, token: str) -> UserToken:
        """The token's user. Raises Unauthenticated (TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED), AccountDeleted,
        KeysUnavailable."""
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
        if self._standings:
            self._standings.check(known.token)
        return known.token

    async def _check(self, encoded: str) -> _Verified:
        try:
            key_id = str(jwt.get_unverified_header(encoded).get("kid", ""))
            key = await self._keys.find(key_id)
            if key is None:
                raise Unauthenticated("TOKEN_INVALID", "the token is signed with a key that the network does not have")
            claims = jwt.decode(
                encoded,
                key=key,
                algorithms=USER_ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                options=options("exp", "iss", "aud", "sub", *(["iat"] if self._roles_claim else [])),
            )
            expires_at = check_times(claims, self._clock)
            issued_at = check_life(claims, self._max_life_s, self._clock)
            roles = _roles(claims.get(self._roles_claim)) if self._roles_claim else frozenset()
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("TOKEN_INVALID", f"the token is not valid: {error}") from error
        user_id = claims["sub"]
        if not (isinstance(user_id, str) and is_user_id(user_id)):
            raise Unauthenticated("TOKEN_INVALID", "the token's subject is not a user id")
        device_id = claims.get(self._device_claim, "") if self._device_claim else ""
        if not (isinstance(device_id, str) and (not device_id or is_user_id(device_id))):
            raise Unauthenticated("TOKEN_INVALID", f"the token's {self._device_claim} is not a device id")
        token = UserToken(UserId(user_id), expires_at, issued_at, device_id, self._standings, roles)
        return _Verified(token, key_id, key)


def _roles(claim: object) -> frozenset[str]:
    """A list of words, or as a `scope` has them (RFC 8693, section 4.2). Raises ValueError."""
    words = [] if claim is None else claim.split() if isinstance(claim, str) else claim
    if not isinstance(words, list) or not all(isinstance(word, str) and is_user_id(word) for word in words):
        raise ValueError("its roles are not a list of words")
    return frozenset(words)


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
            expires_at = check_self_signed(claims, f"service:{service}", SERVICE_TOKEN_TTL_S, self._clock)
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
