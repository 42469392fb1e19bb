"""Servers, the programs of the network's back office: each has an Ed25519 key, which says what it may do.

The public keys stand in a JWK set (RFC 7517, RFC 8037), a file that is read again when it changes. Beside its `kid` a
key has the members

    parley_server            the server's name, such as support-bot
    parley_scopes            words of scopes.py
    parley_acts_as           whom it may speak as: a list of user ids, or "*" for every account; nobody without it
    parley_calls_per_minute  how much it may ask of one replica; DEFAULT_CALLS_PER_MINUTE without it

A server signs its tokens itself: header `typ` SERVER_KIND and `kid`; claims iss and sub (`server:<name>`), aud (the
full name of the gRPC service that is called), iat, exp. What a token says of scopes counts for nothing.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.runtime.clock import Clock
from services.runtime.errors import CallerNotAllowed, Unauthenticated
from services.runtime.identity import scopes
from services.runtime.identity.service_keys import ALGORITHM, entries, key_id_of, public_key
from services.runtime.identity.token_times import check_self_signed, is_expired, options
from services.runtime.user_ids import is_user_id
from services.runtime.watched import Watched

# The `typ` of servers' tokens.
SERVER_KIND = "parley-server+jwt"
# From iat to exp. Raising it lets a token that leaked serve for longer; lowering it makes servers sign more often.
SERVER_TOKEN_MAX_LIFE_S = 300.0
# Of a key that says nothing else. Raising it lets a program that runs wild do more before somebody sees it; lowering it
# slows an honest bot that greets many people at once.
DEFAULT_CALLS_PER_MINUTE = 600
_MAX_CALLS_PER_MINUTE = 1_000_000

OWNER, SCOPES, ACTS_AS, CALLS = "parley_server", "parley_scopes", "parley_acts_as", "parley_calls_per_minute"
EVERYBODY = "*"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Server:
    """Who calls, and what its key lets it do."""

    name: str
    scopes: frozenset[str]
    # None for every account.
    accounts: frozenset[str] | None = frozenset()
    calls_per_minute: int = DEFAULT_CALLS_PER_MINUTE

    @property
    def subject(self) -> str:
        """What tokens and the audit record call it; no user's, person's or service's is written so."""
        return f"server:{self.name}"

    def require_account(self, user_id: str) -> None:
        """Raises CallerNotAllowed unless the key may speak as this account."""
        if self.accounts is not None and user_id not in self.accounts:
            raise CallerNotAllowed("the key may not act as this account")

    def require_every_account(self) -> None:
        """Raises CallerNotAllowed unless the key may speak as whoever it likes."""
        if self.accounts is not None:
            raise CallerNotAllowed(f'only a key with {ACTS_AS} "{EVERYBODY}" may leave out as whom it acts')


_server: ContextVar[Server | None] = ContextVar("parley_server", default=None)


def current_server() -> Server:
    """The server whose RPC is being served. Raises LookupError outside of one, which is a bug."""
    server = _server.get()
    if server is None:
        raise LookupError("no server in this context")
    return server


def set_current_server(server: Server) -> None:
    """Bind the server to the context of this RPC."""
    _server.set(server)


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A public key, and the server whose it is."""

    server: Server
    public: Ed25519PublicKey


class ServerTokens:
    """Checks servers' tokens by the keys in a file.

    The file is looked at whenever it is used, so a key is added, replaced or taken away without a restart. One that is
    faulty is logged (`server_keys_faulty`), and what it held before goes on to serve. Raises ConfigError when it is
    faulty at the start.
    """

    def __init__(self, keys_file: str, clock: Clock) -> None:
        self._keys = Watched("server_keys", [keys_file], lambda read: read_servers(read[0]))
        self._clock = clock

    def verify(self, token: str, audience: str) -> Server:
        """The server that calls `audience`. Raises Unauthenticated (TOKEN_INVALID, TOKEN_EXPIRED)."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != SERVER_KIND:
                raise jwt.InvalidTokenError("a token of another kind")
            key = self._keys.get().get(str(header.get("kid", "")))
            if key is None:
                raise jwt.InvalidKeyError("signed with a key that is nobody's")
            required = options("iss", "sub", "aud", "iat", "exp")
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[ALGORITHM],
                audience=audience,
                options={**required, "strict_aud": True},
            )
            expires_at = check_self_signed(claims, key.server.subject, SERVER_TOKEN_MAX_LIFE_S, self._clock)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated("TOKEN_INVALID", f"this call takes a token of a server for {audience}") from error
        if is_expired(expires_at, self._clock):
            raise Unauthenticated("TOKEN_EXPIRED", "the server's token has expired")
        return key.server


def read_servers(text: str | bytes) -> dict[str, ServerKey]:
    """The keys in a JWK set, by id; none is an answer too. Raises ValueError, and quotes no key."""
    keys: dict[str, ServerKey] = {}
    for entry in entries(text, may_be_empty=True):
        key_id = key_id_of(entry)
        if key_id in keys:
            raise ValueError("two keys have one kid")
        keys[key_id] = ServerKey(_server_of(entry), public_key(entry))
    return keys


def _server_of(entry: Mapping[str, Any]) -> Server:
    name = entry.get(OWNER)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"a key has no {OWNER} of 1 to 40 of a-z, 0-9 and '-'")
    words = entry.get(SCOPES)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{SCOPES} of {name} is not a list of words")
    if unknown := sorted(set(words) - scopes.ALL):
        raise ValueError(f"{SCOPES} of {name} has {unknown[0][:40]!r}, which is none of {sorted(scopes.ALL)}")
    calls = entry.get(CALLS, DEFAULT_CALLS_PER_MINUTE)
    if isinstance(calls, bool) or not isinstance(calls, int) or not 1 <= calls <= _MAX_CALLS_PER_MINUTE:
        raise ValueError(f"{CALLS} of {name} is not a number from 1 to {_MAX_CALLS_PER_MINUTE}")
    return Server(name, frozenset(words), _accounts(name, entry.get(ACTS_AS, [])), calls)


def _accounts(name: str, value: object) -> frozenset[str] | None:
    if value == EVERYBODY:
        return None
    if not isinstance(value, list) or not all(isinstance(user, str) and is_user_id(user) for user in value):
        raise ValueError(f'{ACTS_AS} of {name} is neither a list of user ids nor "{EVERYBODY}"')
    if EVERYBODY in value:
        # It could be somebody's id, but whoever writes it means the other thing.
        raise ValueError(f'{ACTS_AS} of {name} is a list with "{EVERYBODY}" in it; write "{EVERYBODY}" in its place')
    return frozenset(value)
