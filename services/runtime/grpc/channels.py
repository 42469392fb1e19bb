"""The channels by which our services call each other."""

from typing import Any, Protocol

import grpc

from services.runtime.grpc.tls import Peer, SecureChannel
from services.runtime.observability import tracing

# Keep-alive finds a dead peer within about 30 s. Raising it finds it later; lowering it sends more pings on idle
# connections.
KEEPALIVE_MS = 20_000
# How long the answer to a ping may take. Raising it finds a dead peer later; lowering it gives up those that are busy.
_PING_TIMEOUT_MS = 10_000
# Of servers and of channels.
KEEPALIVE = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    # The first is what the kernel waits for an acknowledgement (TCP_USER_TIMEOUT), which a proxy on the way gives for
    # a peer that is gone; the second is for the answer itself, and a minute where nothing is said.
    ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", _PING_TIMEOUT_MS),
    # Else a connection that died while nobody called is found by the first calls, which wait for their deadlines.
    ("grpc.keepalive_permit_without_calls", 1),
)
# grpc measures the bandwidth with a PING for what comes, to open its windows: inside a cluster 64 KiB are many times
# what is under way, and on a stream of small frames it is a second frame, and a second answer, for most of them.
NO_PROBE = ("grpc.http2.bdp_probe", 0)


_OPTIONS = (
    *KEEPALIVE,
    ("grpc.http2.max_pings_without_data", 0),
    NO_PROBE,
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


class Credentials(Protocol):
    """By what a caller is known."""

    def token(self, audience: str, /) -> str:
        """For calls of the gRPC service with this full name."""


def connect(
    address: str, tokens: Credentials | None, peer: Peer | None = None, *, fresh: bool = False
) -> grpc.aio.Channel:
    """A channel to a service of ours: token, trace context, keep-alive, round robin over all addresses.

    `address` is `host:port`, where the host may have many addresses, or several `ip:port` separated by commas.
    Without `tokens` it is good for health only. `peer`: who must be there, over mutual TLS; without one, clear text.
    Give every call on it a timeout. `fresh`: it connects for itself, and at once, where it would else share the
    connection of other channels to the address, or the wait between their attempts: for who asks a process that has
    just come, or has just gone.
    """
    target = f"ipv4:{address}" if "," in address else address
    options = [*_OPTIONS, ("grpc.enable_retries", 1), ("grpc.use_local_subchannel_pool", int(fresh))]
    interceptors = [_UnaryCredentials(tokens), _StreamCredentials(tokens)] if tokens else []
    if peer is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
    # gRPC holds the server's certificate against this name.
    options.append(("grpc.default_authority", peer.name))
    return SecureChannel(
        peer, lambda credentials: grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)
    )


def connect_outside(target: str, most_answer_bytes: int, *, secure: bool) -> grpc.aio.Channel:
    """A channel to a server of the network's own, which is none of ours: keep-alive and round robin, no token, no
    retries. `secure`: over TLS, with a certificate of a public authority; without it clear text. Longer answers than
    `most_answer_bytes` end as RESOURCE_EXHAUSTED."""
    options = [*_OPTIONS, ("grpc.max_receive_message_length", most_answer_bytes)]
    if secure:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options)
    return grpc.aio.insecure_channel(target, options)


class ServiceClient:
    """A part that calls another service: it has a channel from its start to its stop. Subclasses add what they ask."""

    name: str

    def __init__(self, address: str, tokens: Credentials, peer: Peer | None = None) -> None:
        self._address = address
        self._tokens = tokens
        self._peer = peer
        # None before the start: whoever asks so early is told that the service is away.
        self._channel: grpc.aio.Channel | None = None

    async def start(self) -> None:
        self._channel = connect(self._address, self._tokens, self._peer)

    async def stop(self) -> None:
        if self._channel:
            await self._channel.close()


def _with_credentials(details: grpc.aio.ClientCallDetails, tokens: Credentials) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    method = details.method.decode() if isinstance(details.method, bytes) else details.method
    metadata.add("authorization", f"Bearer {tokens.token(method.lstrip('/').partition('/')[0])}")
    trace = tracing.current_header()
    if trace:
        metadata.add(tracing.HEADER, trace)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


class _UnaryCredentials(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: Credentials) -> None:
        self._tokens = tokens

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(_with_credentials(details, self._tokens), request)


class _StreamCredentials(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, tokens: Credentials) -> None:
        self._tokens = tokens

    async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await continuation(_with_credentials(details, self._tokens), requests)
