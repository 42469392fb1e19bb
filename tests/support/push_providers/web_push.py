"""The push service of a browser, and the browser's half of its keys."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.support.http2_server import HOST, Reply, Request
from tests.support.push_providers.provider import Arrival, Provider, Refused, require


def decode(text: str) -> bytes:
    """base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode(data: bytes) -> str:
    """The other way."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Subscription:
    """A browser's, with the private half of its keys."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey
    auth: bytes

    @classmethod
    def new(cls, endpoint: str) -> Subscription:
        return cls(endpoint, ec.generate_private_key(ec.SECP256R1()), b"sixteen bytes of")

    @property
    def p256dh(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def decrypt(self, body: bytes) -> bytes:
        """As a browser does (RFC 8188 and 8291), written from the RFCs, not from the code that it tests."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[21 : 21 + length], body[21 + length :]
        assert len(record) <= size
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        ikm = HKDF(hashes.SHA256(), 32, self.auth, b"WebPush: info\x00" + self.p256dh + sender).derive(shared)
        key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(ikm)
        nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(ikm)
        padded = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\x00")
        assert padded.endswith(b"\x02")
        return padded[:-1]


class PushService(Provider):
    """RFC 8030, which takes only subscriptions that are bound to a key (RFC 8292)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subscriptions: dict[str, Subscription] = {}

    def config(self) -> dict[str, Any]:
        number = self.key.private_numbers().private_value
        return {
            "private_key": encode(number.to_bytes(32, "big")),
            "subject": "mailto:operator@example.com",
            "hosts": [f"{HOST}:{self.server.port}"],
        }

    def subscribe(self) -> Subscription:
        """What PushManager.subscribe gives."""
        path = f"/wpush/{len(self.subscriptions)}"
        self.subscriptions[path] = Subscription.new(f"{self.url}{path}")
        return self.subscriptions[path]

    def take(self, request: Request) -> Reply:
        headers = request.headers
        subscription = self.subscriptions.get(request.path)
        require(subscription is not None, Reply(404))
        assert subscription is not None
        require(headers.get("ttl", "").isdigit(), Reply(400))
        require(headers.get("content-encoding") == "aes128gcm", Reply(415))
        require(len(request.body) <= 4_096, Reply(413))
        topic = headers.get("topic", "")
        require(0 < len(topic) <= 32 and topic.replace("-", "").replace("_", "").isalnum(), Reply(400))
        require(headers.get("urgency") in ("very-low", "low", "normal", "high"), Reply(400))
        self._check_vapid(headers.get("authorization", ""))
        require(subscription.endpoint not in self.gone, Reply(410))
        fields = json.loads(subscription.decrypt(request.body))
        self.arrivals.append(Arrival(subscription.endpoint, topic, fields, headers))
        return Reply(201, headers={"location": f"{self.url}/message/1"})

    def _check_vapid(self, header: str) -> None:
        scheme, _, rest = header.partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
        own = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        require(scheme.lower() == "vapid" and decode(parts.get("k", "")) == own, Reply(401))
        try:
            claims = jwt.decode(parts["t"], self.key.public_key(), algorithms=["ES256"], audience=self.url)
        except jwt.InvalidTokenError:
            raise Refused(Reply(401)) from None
        require(claims["sub"].startswith("mailto:"), Reply(401))
