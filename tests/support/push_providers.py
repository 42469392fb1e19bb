"""Providers of notices that speak the real protocols, check what they are sent as the real ones do, and can fail.

Each has devices, of which it knows what their screens show: by what collapses, the newest takes the place of the older.
"""

from __future__ import annotations

import asyncio
import base64
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from standardwebhooks import Webhook, WebhookVerificationError

from deploy.certificates import Pem
from tests.support.http2_server import HOST, Http2Server, Reply, Request

SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()
APP = "com.example.parley"
PROJECT = "parley-test"


def decode(text: str) -> bytes:
    """base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode(data: bytes) -> str:
    """The other way."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pem_of(key: Any) -> str:
    """As files of providers hold it."""
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode()


@dataclass(frozen=True)
class Arrival:
    """One notice that a device was given."""

    token: str
    # What collapses.
    key: str
    fields: dict[str, Any]
    headers: dict[str, str]


class Refused(Exception):
    """What is answered to a request that is wrong."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass
class Provider(ABC):
    """What all of them have: devices, arrivals, and faults that a test orders."""

    certificate: Pem
    arrivals: list[Arrival] = field(default_factory=list)
    # Requests that came, whatever became of them.
    asked: int = 0
    # Tokens that reach nothing any more.
    gone: set[str] = field(default_factory=set)
    # The next requests are answered by these, in order, and do nothing.
    next_replies: list[Reply] = field(default_factory=list)
    # After it has taken a notice, the answer is lost for so many.
    lose_answers: int = 0
    is_down: bool = False
    # While it is not set, requests hang.
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()
        self.server = Http2Server(self.handle, self.certificate)

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.server.port}"

    def screen(self, token: str) -> dict[str, dict[str, Any]]:
        """What a device shows, by thread."""
        shown: dict[str, dict[str, Any]] = {}
        for one in self.arrivals:
            if one.token == token:
                shown.pop(one.fields["thread"], None)
                if one.fields["type"] == "notice":
                    shown[one.fields["thread"]] = one.fields
        return shown

    def of(self, token: str) -> list[dict[str, Any]]:
        """All that a device was sent."""
        return [one.fields for one in self.arrivals if one.token == token]

    async def handle(self, request: Request) -> Reply:
        self.asked += 1
        await self.open.wait()
        if self.is_down:
            return Reply(503)
        if self.next_replies:
            return self.next_replies.pop(0)
        before = len(self.arrivals)
        try:
            reply = self.take(request)
        except Refused as refused:
            return refused.reply
        if self.lose_answers and len(self.arrivals) > before:
            self.lose_answers -= 1
            await asyncio.Event().wait()
        return reply

    @abstractmethod
    def take(self, request: Request) -> Reply:
        """What this provider says to a request. Raises Refused."""


class Apns(Provider):
    """https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns"""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key = ec.generate_private_key(ec.SECP256R1())

    def config(self) -> dict[str, Any]:
        return {"key_id": "KEY1", "team_id": "TEAM1", "private_key": pem_of(self.key), "apps": [APP], "url": self.url}

    def take(self, request: Request) -> Reply:
        headers = request.headers
        self._check_token(headers.get("authorization", ""))
        device = request.path.removeprefix("/3/device/")
        _require(request.method == "POST" and device != request.path, _apple(404, "BadPath"))
        kind = headers.get("apns-push-type")
        topic = {"voip": f"{APP}.voip"}.get(kind or "", APP)
        _require(headers.get("apns-topic") == topic, _apple(400, "DeviceTokenNotForTopic"))
        _require(kind in ("alert", "background", "voip"), _apple(400, "InvalidPushType"))
        _require(headers.get("apns-priority") in ("5", "10"), _apple(400, "BadPriority"))
        _require(headers.get("apns-expiration", "").isdigit(), _apple(400, "BadExpirationDate"))
        _require(len(headers.get("apns-collapse-id", "").encode()) <= 64, _apple(400, "BadCollapseId"))
        _require(len(request.body) <= (5_120 if kind == "voip" else 4_096), _apple(413, "PayloadTooLarge"))
        _require(device not in self.gone, _apple(410, "Unregistered"))
        body = json.loads(request.body)
        aps = body["aps"]
        if kind == "background":
            # Apple drops what is urgent, and what has an alert.
            _require(headers["apns-priority"] == "5" and aps.get("content-available") == 1, _apple(400, "BadPriority"))
            _require("alert" not in aps and "sound" not in aps, _apple(400, "InvalidPushType"))
        fields = {**body["parley"], "aps": aps}
        self.arrivals.append(Arrival(device, headers.get("apns-collapse-id", ""), fields, headers))
        return Reply(200, headers={"apns-id": "id"})

    def _check_token(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        _require(scheme.lower() == "bearer" and bool(token), _apple(403, "MissingProviderToken"))
        try:
            claims = jwt.decode(token, self.key.public_key(), algorithms=["ES256"], options={"require": ["iat", "iss"]})
        except jwt.InvalidTokenError:
            raise Refused(_apple(403, "InvalidProviderToken")) from None
        _require(jwt.get_unverified_header(token).get("kid") == "KEY1", _apple(403, "InvalidProviderToken"))
        _require(claims["iss"] == "TEAM1", _apple(403, "InvalidProviderToken"))


class Fcm(Provider):
    """https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send"""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key = rsa.generate_private_key(65537, 2048)
        self.access_tokens: list[str] = []

    def config(self) -> dict[str, Any]:
        """The file of a service account, with more in it than we need."""
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": pem_of(self.key),
            "client_email": "push@parley-test.iam.gserviceaccount.com",
            "token_uri": f"{self.url}/token",
            "url": self.url,
        }

    def take(self, request: Request) -> Reply:
        if request.path == "/token":
            return self._give_token(request)
        _require(request.path == f"/v1/projects/{PROJECT}/messages:send", _google(404, "NOT_FOUND"))
        scheme, _, access = request.headers.get("authorization", "").partition(" ")
        _require(scheme == "Bearer" and access in self.access_tokens, _google(401, "UNAUTHENTICATED"))
        message = json.loads(request.body)["message"]
        data, android = message["data"], message["android"]
        _require(all(isinstance(value, str) for value in data.values()), _google(400, "INVALID_ARGUMENT"))
        _require(not set(data) & {"from", "message_type", "notification"}, _google(400, "INVALID_ARGUMENT"))
        _require(android["priority"] in ("HIGH", "NORMAL"), _google(400, "INVALID_ARGUMENT"))
        _require(android["ttl"].endswith("s") and 0 <= int(android["ttl"][:-1]) <= 2_419_200, _google(400, "X"))
        _require(len(json.dumps(data).encode()) <= 4_096, _google(400, "INVALID_ARGUMENT"))
        _require(message["token"] not in self.gone, _google(404, "UNREGISTERED"))
        self.arrivals.append(
            Arrival(message["token"], android["collapse_key"], data, {"priority": android["priority"]})
        )
        return Reply(200, json.dumps({"name": f"projects/{PROJECT}/messages/1"}).encode())

    def _give_token(self, request: Request) -> Reply:
        form = parse_qs(request.body.decode())
        _require(form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"], Reply(400))
        try:
            claims = jwt.decode(
                form["assertion"][0], self.key.public_key(), algorithms=["RS256"], audience=f"{self.url}/token"
            )
        except jwt.InvalidTokenError:
            raise Refused(Reply(400, b'{"error":"invalid_grant"}')) from None
        _require(claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging", Reply(400))
        _require(claims["exp"] - claims["iat"] <= 3_600, Reply(400))
        self.access_tokens.append(f"access-{len(self.access_tokens)}")
        body = {"access_token": self.access_tokens[-1], "expires_in": 3_599, "token_type": "Bearer"}
        return Reply(200, json.dumps(body).encode())


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
        _require(subscription is not None, Reply(404))
        assert subscription is not None
        _require(headers.get("ttl", "").isdigit(), Reply(400))
        _require(headers.get("content-encoding") == "aes128gcm", Reply(415))
        _require(len(request.body) <= 4_096, Reply(413))
        topic = headers.get("topic", "")
        _require(0 < len(topic) <= 32 and topic.replace("-", "").replace("_", "").isalnum(), Reply(400))
        _require(headers.get("urgency") in ("very-low", "low", "normal", "high"), Reply(400))
        self._check_vapid(headers.get("authorization", ""))
        _require(subscription.endpoint not in self.gone, Reply(410))
        fields = json.loads(subscription.decrypt(request.body))
        self.arrivals.append(Arrival(subscription.endpoint, topic, fields, headers))
        return Reply(201, headers={"location": f"{self.url}/message/1"})

    def _check_vapid(self, header: str) -> None:
        scheme, _, rest = header.partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
        own = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        _require(scheme.lower() == "vapid" and decode(parts.get("k", "")) == own, Reply(401))
        try:
            claims = jwt.decode(parts["t"], self.key.public_key(), algorithms=["ES256"], audience=self.url)
        except jwt.InvalidTokenError:
            raise Refused(Reply(401)) from None
        _require(claims["sub"].startswith("mailto:"), Reply(401))


class Network(Provider):
    """The network's own sender."""

    def config(self) -> dict[str, Any]:
        return {"url": f"{self.url}/hooks", "secrets": [SECRET]}

    def take(self, request: Request) -> Reply:
        try:
            said: Any = Webhook(SECRET).verify(request.body, request.headers)
        except WebhookVerificationError:
            raise Refused(Reply(401)) from None
        data = said["data"]
        _require(data["token"] not in self.gone, Reply(410))
        headers = {"webhook-id": request.headers["webhook-id"], "type": said["type"], "user": data["user_id"]}
        self.arrivals.append(Arrival(data["token"], data["notice"]["thread"], data["notice"], headers))
        return Reply(200)


def _require(is_right: bool, reply: Reply) -> None:
    if not is_right:
        raise Refused(reply)


def _apple(status: int, reason: str) -> Reply:
    return Reply(status, json.dumps({"reason": reason}).encode())


def _google(status: int, code: str) -> Reply:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    error = {"code": status, "message": "no", "details": [{"@type": kind, "errorCode": code}]}
    return Reply(status, json.dumps({"error": error}).encode())
