"""Signed webhooks: how whoever gets a request of Parley's tells that it is one, and not an old one sent again."""

import hashlib
import hmac
from collections.abc import Sequence


def sign(secret: bytes, timestamp_s: int, body: bytes) -> str:
    """Hex HMAC-SHA256 over `<timestamp>.<body>`, so that an old request cannot be sent again."""
    return hmac.new(secret, str(timestamp_s).encode() + b"." + body, hashlib.sha256).hexdigest()


def signed_headers(secrets: Sequence[bytes], timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of a JSON webhook: a signature for each secret. While it is changed, the receiver takes the one that
    it knows."""
    return {
        "Content-Type": "application/json",
        "Parley-Timestamp": str(timestamp_s),
        "Parley-Signature": ",".join(f"v1={sign(secret, timestamp_s, body)}" for secret in secrets),
    }
