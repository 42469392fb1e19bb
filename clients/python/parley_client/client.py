"""A user's device as the edge sees it: a token of the development issuer, one channel to Envoy, and the stubs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

import grpc
from parley.calls.v1.service_pb2_grpc import CallsServiceStub
from parley.gateway.v1.service_pb2_grpc import GatewayServiceStub
from parley.keys.v1.service_pb2_grpc import DeviceKeysServiceStub
from parley.messaging.v1.accounts_pb2_grpc import AccountServiceStub
from parley.messaging.v1.attachments_pb2_grpc import AttachmentsServiceStub
from parley.messaging.v1.relations_pb2_grpc import RelationsServiceStub
from parley.messaging.v1.scheduled_pb2_grpc import ScheduledMessagesServiceStub
from parley.messaging.v1.service_pb2_grpc import MessagingServiceStub
from parley.notifications.v1.service_pb2_grpc import NotificationsServiceStub
from parley.presence.v1.service_pb2_grpc import PresenceServiceStub
from parley.previews.v1.previews_pb2_grpc import PreviewsServiceStub

from parley_client.channels import KEEP_ALIVE, RPC_TIMEOUT_S, with_token

if TYPE_CHECKING:
    from parley.calls.v1.service_pb2_grpc import CallsServiceAsyncStub
    from parley.gateway.v1.service_pb2_grpc import GatewayServiceAsyncStub
    from parley.keys.v1.service_pb2_grpc import DeviceKeysServiceAsyncStub
    from parley.messaging.v1.accounts_pb2_grpc import AccountServiceAsyncStub
    from parley.messaging.v1.attachments_pb2_grpc import AttachmentsServiceAsyncStub
    from parley.messaging.v1.relations_pb2_grpc import RelationsServiceAsyncStub
    from parley.messaging.v1.scheduled_pb2_grpc import ScheduledMessagesServiceAsyncStub
    from parley.messaging.v1.service_pb2_grpc import MessagingServiceAsyncStub
    from parley.notifications.v1.service_pb2_grpc import NotificationsServiceAsyncStub
    from parley.presence.v1.service_pb2_grpc import PresenceServiceAsyncStub
    from parley.previews.v1.previews_pb2_grpc import PreviewsServiceAsyncStub

# Tokens are renewed this long before they expire. Raising it costs more logins; lowering it lets a call go out with an
# expired token when a login is slow.
_RENEW_BEFORE_S = 30.0

# Devices of one process must not share one connection: each stands for a phone of its own.
_CHANNEL_OPTIONS = [*KEEP_ALIVE, ("grpc.use_local_subchannel_pool", 1)]


class LoginError(Exception):
    """There is no token: the issuer, or what provides them, gave none. The cause is what it raised."""


@dataclass(frozen=True)
class Edge:
    """Where a device finds Parley. `address`: host:port of Envoy.

    `tls`: it has a certificate of a known authority; otherwise HTTP/2 in clear. `issuer_url`: the development issuer,
    for devices that are given no tokens of their own.
    """

    address: str
    issuer_url: str = ""
    tls: bool = False


@dataclass(frozen=True)
class AccessToken:
    """A bearer token; `expires_at_s` is Unix time."""

    value: str
    expires_at_s: float


Login = Callable[[str], Awaitable[AccessToken]]


def http_login(issuer_url: str, ttl_s: int = 3600, device_id: str = "") -> Login:
    """The development issuer's login. A negative `ttl_s` gives tokens that have expired already; with a `device_id`
    they are that device's."""

    async def login(user_id: str) -> AccessToken:
        asked: dict[str, object] = {"user_id": user_id, "ttl_s": ttl_s}
        if device_id:
            asked["device_id"] = device_id
        try:
            answer = await asyncio.to_thread(_post_json, f"{issuer_url}/dev/login", asked)
            return AccessToken(str(answer["token"]), datetime.fromisoformat(answer["expires_at"]).timestamp())
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            raise LoginError(f"{issuer_url} refused {user_id}: {error or type(error).__name__}") from error

    return login


def _post_json(url: str, body: dict[str, object]) -> Any:
    """Blocks. Past any proxy: the development issuer is on this machine, or beside it."""
    # Whoever makes the client names the issuer.
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"})  # noqa: S310
    with build_opener(ProxyHandler({})).open(request, timeout=RPC_TIMEOUT_S) as response:
        return json.load(response)


class TokenSource:
    """The user's current token, renewed shortly before it expires. Concurrent callers share one login."""

    def __init__(self, user_id: str, login: Login, clock: Callable[[], float] = time.time) -> None:
        self._user_id = user_id
        self._login = login
        self._clock = clock
        self._token: AccessToken | None = None
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """A token that is good for some time yet. Raises LoginError."""
        async with self._lock:
            if self._token is None or self._clock() >= self._token.expires_at_s - _RENEW_BEFORE_S:
                self._token = await self._ask()
            return self._token.value

    async def _ask(self) -> AccessToken:
        try:
            return await self._login(self._user_id)
        except LoginError:
            raise
        except Exception as error:
            # A provider of tokens is a program of somebody else: whatever it raises, there is no token yet.
            raise LoginError(f"no token for {self._user_id}: {type(error).__name__}: {error}") from error

    def forget(self) -> None:
        """Makes the next caller log in again: the token was refused."""
        self._token = None


class Device:
    """One device of one user. Close it when done; its event stream is `stream.EventStream`."""

    def __init__(self, edge: Edge, user_id: str, device_id: str, tokens: TokenSource | None = None) -> None:
        self.edge = edge
        self.user_id = user_id
        self.device_id = device_id
        self.tokens = tokens or TokenSource(user_id, http_login(edge.issuer_url))
        self._channel = _channel(edge, self.tokens)
        self.messaging: MessagingServiceAsyncStub = MessagingServiceStub(self._channel)
        self.relations: RelationsServiceAsyncStub = RelationsServiceStub(self._channel)
        self.attachments: AttachmentsServiceAsyncStub = AttachmentsServiceStub(self._channel)
        self.scheduled: ScheduledMessagesServiceAsyncStub = ScheduledMessagesServiceStub(self._channel)
        self.account: AccountServiceAsyncStub = AccountServiceStub(self._channel)
        self.presence: PresenceServiceAsyncStub = PresenceServiceStub(self._channel)
        self.gateway: GatewayServiceAsyncStub = GatewayServiceStub(self._channel)
        self.calls: CallsServiceAsyncStub = CallsServiceStub(self._channel)
        self.keys: DeviceKeysServiceAsyncStub = DeviceKeysServiceStub(self._channel)
        self.notifications: NotificationsServiceAsyncStub = NotificationsServiceStub(self._channel)
        self.previews: PreviewsServiceAsyncStub = PreviewsServiceStub(self._channel)

    async def close(self) -> None:
        """Ends all calls and streams of the device."""
        await self._channel.close()


def _channel(edge: Edge, tokens: TokenSource) -> grpc.aio.Channel:
    interceptors = [_UnaryToken(tokens), _StreamToken(tokens)]
    if edge.tls:
        certificates = grpc.ssl_channel_credentials()
        return grpc.aio.secure_channel(edge.address, certificates, _CHANNEL_OPTIONS, interceptors=interceptors)
    return grpc.aio.insecure_channel(edge.address, _CHANNEL_OPTIONS, interceptors=interceptors)


class _UnaryToken(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(with_token(details, await self._tokens.token(), RPC_TIMEOUT_S), request)


class _StreamToken(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(with_token(details, await self._tokens.token(), None), request)
