"""What all channels of this library share: how they notice a silent peer, and that each call has a token."""

from __future__ import annotations

import grpc

# A unary call without a deadline of its own gets this one.
RPC_TIMEOUT_S = 10.0

# Keep-alive notices a peer that is gone without having closed the connection. A proxy may acknowledge for it: the
# answer to a ping has a limit of its own, which is a minute where nothing is said.
KEEP_ALIVE = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


def with_token(details: grpc.aio.ClientCallDetails, token: str, timeout_s: float | None) -> grpc.aio.ClientCallDetails:
    """The call with its bearer token, and with `timeout_s` unless it has a deadline of its own."""
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    metadata.add("authorization", f"Bearer {token}")
    timeout = details.timeout if details.timeout is not None else timeout_s
    return grpc.aio.ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready)
