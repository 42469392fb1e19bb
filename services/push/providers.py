"""The file that says by which providers notices are sent, and with which keys.

{"apns": {...}, "fcm": {...}, "web_push": {...}, "network": {...}}, each part where it is served
(docs/operations/notifications.md).
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from services.push.core.addresses import PUSH_SERVICES, is_base_url
from services.push.core.model import Provider
from services.runtime.webhook_secrets import SECRET_RULE, is_webhook_secret

APNS_URL = "https://api.push.apple.com"
FCM_URL = "https://fcm.googleapis.com"


@dataclass(frozen=True)
class Apns:
    """Apple's, by a token of a key (not by certificates)."""

    key_id: str
    team_id: str
    private_key: ec.EllipticCurvePrivateKey
    # The apps' ids, which devices name when they register.
    apps: tuple[str, ...]
    url: str = APNS_URL


@dataclass(frozen=True)
class Fcm:
    """Google's, as a service account."""

    project_id: str
    client_email: str
    private_key: rsa.RSAPrivateKey
    token_url: str
    url: str = FCM_URL


@dataclass(frozen=True)
class WebPush:
    """Browsers', by VAPID (RFC 8292)."""

    private_key: ec.EllipticCurvePrivateKey
    # Whom a push service may write to: mailto: or https:.
    subject: str
    hosts: tuple[str, ...] = PUSH_SERVICES

    @property
    def public_key(self) -> bytes:
        """An uncompressed point."""
        return self.private_key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )


@dataclass(frozen=True)
class Network:
    """The network's own sender, by signed webhooks."""

    url: str
    # Each signs: while one is changed, the receiver takes the one that it knows.
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class Providers:
    """What is served; None where it is not."""

    apns: Apns | None = None
    fcm: Fcm | None = None
    web_push: WebPush | None = None
    network: Network | None = None

    @property
    def served(self) -> frozenset[Provider]:
        """By which notices are sent."""
        parts = {
            Provider.APNS: self.apns,
            Provider.APNS_VOIP: self.apns,
            Provider.FCM: self.fcm,
            Provider.WEB_PUSH: self.web_push,
            Provider.NETWORK: self.network,
        }
        return frozenset(provider for provider, part in parts.items() if part)


def parse(data: bytes) -> Providers:
    """What the file says. Raises ValueError, which names what is wrong and never quotes a key."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    readers: dict[str, Callable[[_Part], Any]] = {
        "apns": _apns,
        "fcm": _fcm,
        "web_push": _web_push,
        "network": _network,
    }
    if not isinstance(document, dict) or set(document) - set(readers):
        raise ValueError(f"it is not an object with {', '.join(readers)}")
    return Providers(**{name: readers[name](_Part(name, part)) for name, part in document.items()})


class _Part:
    """One part of the file, field by field."""

    def __init__(self, name: str, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise ValueError(f"{name} is not an object")
        self._name = name
        self._fields = fields

    def fault(self, field: str, what: str) -> ValueError:
        return ValueError(f"{self._name}: {field} is not {what}")

    def only(self, *fields: str) -> None:
        if unknown := sorted(set(self._fields) - set(fields)):
            raise ValueError(f"{self._name} has no field {', '.join(unknown)}")

    def text(self, field: str, default: str | None = None) -> str:
        value = self._fields.get(field, default)
        if not isinstance(value, str) or not value:
            raise self.fault(field, "a text")
        return value

    def texts(self, field: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        value = self._fields.get(field, default)
        if not isinstance(value, list | tuple) or not value or not all(isinstance(one, str) and one for one in value):
            raise self.fault(field, "a list of texts")
        return tuple(value)

    def url(self, field: str, default: str | None = None) -> str:
        value = self.text(field, default)
        if not is_base_url(value):
            raise self.fault(field, "an http or https address")
        return value.rstrip("/")

    def key(self, field: str) -> Any:
        """A private key in PEM."""
        try:
            return serialization.load_pem_private_key(self.text(field).encode(), password=None)
        except (ValueError, TypeError):
            raise self.fault(field, "a private key in PEM, without a password") from None


def _apns(part: _Part) -> Apns:
    part.only("key_id", "team_id", "private_key", "apps", "url")
    key = part.key("private_key")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise part.fault("private_key", "a P-256 key")
    return Apns(part.text("key_id"), part.text("team_id"), key, part.texts("apps"), part.url("url", APNS_URL))


def _fcm(part: _Part) -> Fcm:
    """The file of a service account as Google gives it, and `url`."""
    key = part.key("private_key")
    if not isinstance(key, rsa.RSAPrivateKey):
        raise part.fault("private_key", "an RSA key")
    return Fcm(
        part.text("project_id"),
        part.text("client_email"),
        key,
        part.url("token_uri", "https://oauth2.googleapis.com/token"),
        part.url("url", FCM_URL),
    )


def _web_push(part: _Part) -> WebPush:
    part.only("private_key", "subject", "hosts")
    try:
        text = part.text("private_key")
        secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if len(secret) != 32:
            raise ValueError
        key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    except (ValueError, binascii.Error):
        raise part.fault("private_key", "32 bytes of a P-256 key in base64url") from None
    subject = part.text("subject")
    if not subject.startswith(("mailto:", "https://")):
        raise part.fault("subject", "a mailto: or https: address")
    return WebPush(key, subject, part.texts("hosts", PUSH_SERVICES))


def _network(part: _Part) -> Network:
    part.only("url", "secrets")
    secrets = part.texts("secrets")
    if not all(map(is_webhook_secret, secrets)):
        raise part.fault("secrets", f"a list of {SECRET_RULE}")
    return Network(part.url("url"), secrets)
