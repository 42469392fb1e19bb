"""Signature Version 4 in an address's query, as S3 checks it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html. Written from that page and not with the
library that signs, so that the one proves the other.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_LIFE = timedelta(days=7)
# Clocks of the signer and of this machine may differ by so much.
CLOCK_SKEW = timedelta(minutes=15)


class SignatureError(Exception):
    """The address does not allow this request; `code` is S3's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Key:
    """A key that the server knows."""

    key_id: str
    secret: str


@dataclass(frozen=True)
class Asked:
    """A request as it came: the path and query still encoded, header names in lower case."""

    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]


def check_signature(asked: Asked, keys: Collection[Key], now: datetime) -> None:
    """Raises SignatureError unless the address was signed with one of the keys for this request and is still good."""
    query = dict(parse_qsl(asked.raw_query, keep_blank_values=True))
    signature = query.pop("X-Amz-Signature", "")
    if query.get("X-Amz-Algorithm") != ALGORITHM or not signature:
        raise SignatureError("AccessDenied", "the address is not signed")
    key_id, _, scope = query.get("X-Amz-Credential", "").partition("/")
    secret = next((key.secret for key in keys if key.key_id == key_id), None)
    if secret is None:
        raise SignatureError("InvalidAccessKeyId", "the key is not known")
    _check_time(query, now)
    names = query.get("X-Amz-SignedHeaders", "").split(";")
    if "host" not in names or any(name not in asked.headers for name in names):
        raise SignatureError("SignatureDoesNotMatch", "a signed header is missing")
    expected = _signature(asked, query, names, scope, secret)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise SignatureError("SignatureDoesNotMatch", "the address was signed for another request, or with another key")


def _check_time(query: Mapping[str, str], now: datetime) -> None:
    try:
        signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        life = timedelta(seconds=int(query["X-Amz-Expires"]))
    except (KeyError, ValueError, OverflowError):
        raise SignatureError("AuthorizationQueryParametersError", "the times are malformed") from None
    if not timedelta(0) < life <= LONGEST_LIFE or signed_at > now + CLOCK_SKEW:
        raise SignatureError("AuthorizationQueryParametersError", "the times are out of bounds")
    if now > signed_at + life:
        raise SignatureError("AccessDenied", "the address has expired")


def _signature(asked: Asked, query: Mapping[str, str], names: list[str], scope: str, secret: str) -> str:
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in query.items())
    canonical = "\n".join(
        [
            asked.method,
            asked.raw_path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(asked.headers[name].split())}" for name in names),
            "",
            ";".join(names),
            "UNSIGNED-PAYLOAD",
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join([ALGORITHM, query["X-Amz-Date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, text).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
