"""Who is calling: users by the network's JWTs (EdDSA or RS256, keys from its JWKS), services by our own (HS256)."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NewType

import aiohttp
import jwt
import structlog

from services.runtime.clock import Clock
from services.runtime.errors import Unauthenticated

log = structlog.get_logger()

UserId = NewType("UserId", str)

USER_ALGORITHMS = ["EdDSA", "RS256"]
SERVICE_AUDIENCE = "parley-internal"
SERVICE_TOKEN_TTL_S = 300
MAX_USER_ID_CHARS = 64

# Keys are fetched again after this. Higher: a withdrawn key stays valid longer. Lower: more requests to the network.
JWKS_TTL_S = 300.0
# An unknown key id causes a fetch at most this often. Higher: rotation is seen later. Lower: forged ids cause load.
JWKS_MIN_INTERVAL_S = 2.0
# Verified tokens that are remembered, so that a busy device does not pay a signature check a call.
TOKEN_CACHE_SIZE = 20_000

FetchJwks = Callable[[], Awaitable[dict[str, Any]]]


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


class JwksKeys:
    """The network's public keys by key id, cached: an unknown id or age causes a fetch; a failed one keeps the old."""

    def __init__(self, fetch: FetchJwks, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key, or None when the network does not have it."""
        if key_id not in self._keys or self._is_older(self._fetched_at, JWKS_TTL_S):
            async with self._lock:
                if self._is_older(self._tried_at, JWKS_MIN_INTERVAL_S):
                    await self._refresh()
        return self._keys.get(key_id)

    def _is_older(self, instant: float | None, age_s: float) -> bool:
        return instant is None or self._clock.monotonic() - instant >= age_s

    async def _refresh(self) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            keys = jwt.PyJWKSet.from_dict(await self._fetch()).keys
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, jwt.PyJWTError) as error:
            log.warning("jwks_fetch_failed", error=type(error).__name__)
            return
        self._keys = {key.key_id: key for key in keys if key.key_id}
        self._fetched_at = self._clock.monotonic()


def http_jwks(url: str) -> FetchJwks:
    """A fetch of the JWKS address."""

    async def fetch() -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            response.raise_for_status()
            document: dict[str, Any] = await response.json(content_type=None)
            return document

    return fetch


class UserTokens:
    """Checks users' tokens: signature, issuer, audience, expiry, subject."""

    def __init__(self, keys: JwksKeys, issuer: str, audience: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        # By digest: a token is ten times as long, and a secret.
        self._verified: OrderedDict[bytes, UserToken] = OrderedDict()

    async def verify(self, token: str) -> UserToken:
        """The token's user. Raises Unauthenticated (TOKEN_INVALID, TOKEN_EXPIRED)."""
        digest = sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is None:
            known = await self._check(token)
            self._verified[digest] = known
            if len(self._verified) > TOKEN_CACHE_SIZE:
                self._verified.popitem(last=False)
        if known.expires_at <= self._clock.now().timestamp():
            self._verified.pop(digest, None)
            raise Unauthenticated("TOKEN_EXPIRED", "the token has expired")
        return known

    async def _check(self, token: str) -> UserToken:
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.find(str(header.get("kid", "")))
            if key is None:
                raise Unauthenticated("TOKEN_INVALID", "the token is signed with a key that the network does not have")
            claims = jwt.decode(
                token,
                key=key,
                algorithms=USER_ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["exp", "iss", "aud", "sub"], "verify_exp": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("TOKEN_INVALID", f"the token is not valid: {error}") from error
        user_id = claims["sub"]
        if not (isinstance(user_id, str) and is_user_id(user_id)) or not isinstance(claims["exp"], int | float):
            raise Unauthenticated("TOKEN_INVALID", "the token's subject is not a user id")
        return UserToken(UserId(user_id), float(claims["exp"]))


def is_user_id(value: str) -> bool:
    """Whether the value can be a user's id: 1 to 64 printable ASCII characters without spaces."""
    return 0 < len(value) <= MAX_USER_ID_CHARS and value.isascii() and value.isprintable() and " " not in value


class ServiceTokens:
    """Makes and checks the tokens by which Parley's services know each other. All hold one key."""

    def __init__(self, key: bytes, service: str, clock: Clock) -> None:
        self._key = key
        self._service = service
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0

    def token(self) -> str:
        """A token of this service, renewed when half of its life is over."""
        now = self._clock.now().timestamp()
        if now >= self._renew_at:
            claims = {"sub": f"service:{self._service}", "aud": SERVICE_AUDIENCE, "exp": int(now + SERVICE_TOKEN_TTL_S)}
            self._token = jwt.encode(claims, self._key, algorithm="HS256")
            self._renew_at = now + SERVICE_TOKEN_TTL_S / 2
        return self._token

    def verify(self, token: str) -> str:
        """The calling service's name. Raises Unauthenticated."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=SERVICE_AUDIENCE,
                options={"require": ["exp", "aud", "sub"], "verify_exp": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("TOKEN_INVALID", "this call takes a service token") from error
        if not isinstance(claims["exp"], int | float) or claims["exp"] <= self._clock.now().timestamp():
            raise Unauthenticated("TOKEN_EXPIRED", "the service token has expired")
        return str(claims["sub"]).removeprefix("service:")
