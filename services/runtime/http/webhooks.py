"""Signed webhooks (standardwebhooks.com): how whoever gets a request of Parley's tells that it is one, and not an old
one sent again."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook


def signed_headers(secrets: Sequence[str | bytes], webhook_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of a JSON webhook: a signature for each secret. While it is changed, the receiver takes the one that
    it knows. `webhook_id` is the same at each attempt, and the time is the attempt's; the body is UTF-8."""
    time, text = datetime.fromtimestamp(timestamp_s, UTC), body.decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(Webhook(secret).sign(webhook_id, time, text) for secret in secrets),
    }


def sign_as_before(secret: bytes, timestamp_s: int, body: bytes) -> str:
    """Hex HMAC-SHA256 over `<timestamp>.<body>`."""
    return hmac.new(secret, str(timestamp_s).encode() + b"." + body, hashlib.sha256).hexdigest()


def headers_as_before(secrets: Sequence[bytes], timestamp_s: int, body: bytes) -> dict[str, str]:
    """What receivers of pushes and scans verified before these had the format above. Deprecated: it goes with the next
    release that may break them."""
    return {
        "Parley-Timestamp": str(timestamp_s),
        "Parley-Signature": ",".join(f"v1={sign_as_before(secret, timestamp_s, body)}" for secret in secrets),
    }
