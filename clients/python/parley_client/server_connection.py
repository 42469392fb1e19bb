"""How a server reaches the admin address of a service: one channel, on which each call has a token of the server's."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import grpc

from parley_client.channels import KEEP_ALIVE, RPC_TIMEOUT_S, with_token
from parley_client.server_tokens import ServerTokens

_CHANNEL_OPTIONS = [*KEEP_ALIVE, ("grpc.lb_policy_name", "round_robin")]


class ServerConnection:
    """What the clients of the server API share. Use one with `async with`.

    `address`: `host:port` of the service's admin port, or several with commas. `name`: the server's, as its key has
    it. `credentials`: for a deployment with mutual TLS, grpc.ssl_channel_credentials with a certificate of its
    authority.
    """

    # The name in the certificate of the service that is called.
    _service: ClassVar[str]

    def __init__(
        self,
        address: str,
        key_file: Path | str,
        name: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises KeyFileError of server_tokens.py."""
        tokens = ServerTokens(Path(key_file), name, clock)
        self._channel = _open_channel(address, tokens, credentials, service=self._service)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all requests that are under way."""
        await self._channel.close()


def _open_channel(
    address: str, tokens: ServerTokens, credentials: grpc.ChannelCredentials | None, *, service: str
) -> grpc.aio.Channel:
    target = f"ipv4:{address}" if "," in address else address
    interceptors = [_UnaryToken(tokens)]
    if credentials is None:
        return grpc.aio.insecure_channel(target, _CHANNEL_OPTIONS, interceptors=interceptors)
    # With mutual TLS a service's certificate has its name, whatever address it is reached at.
    options = [*_CHANNEL_OPTIONS, ("grpc.default_authority", service)]
    return grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)


class _UnaryToken(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: ServerTokens) -> None:
        self._tokens = tokens

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        token = self._tokens.token(method.lstrip("/").partition("/")[0])
        return await continuation(with_token(details, token, RPC_TIMEOUT_S), request)
