"""Browsers' push services: RFC 8030, encrypted (RFC 8291), with VAPID (RFC 8292)."""

import base64
import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from services.push.clients.http import HttpClient
from services.push.core.addresses import is_push_service, origin
from services.push.core.attempts import Answer, Outcome
from services.push.core.effects import Effect, Notify, ttl_s
from services.push.core.model import NoticeKind, Token
from services.push.core.payloads import payload
from services.push.encryption import MAX_BYTES, NotAKey, encrypt
from services.push.providers import WebPush
from services.runtime.clock import Clock

# RFC 8292 allows a day. Raising it makes fewer signatures; lowering it lets one that leaked serve for less.
VAPID_LIFE_S = 12 * 3_600
# Tokens are made anew so long before their end.
RENEW_BEFORE_S = 3_600
# Push services of which a token is kept.
MAX_ORIGINS = 100


class WebPushSender:
    """See ports.Sender."""

    def __init__(self, config: Callable[[], WebPush | None], http: HttpClient, clock: Clock) -> None:
        self._config = config
        self._http = http
        self._clock = clock
        # By origin: a token and its end.
        self._tokens: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._made_by: WebPush | None = None

    async def send(self, token: Token, sent: Effect) -> Answer:
        config = self._config()
        if config is None:
            return Answer(Outcome.UNAVAILABLE, reason="not configured")
        if not is_push_service(token.address, config.hosts):
            # The operators allow it no more.
            return Answer(Outcome.GONE, reason="not allowed")
        body = json.dumps(payload(sent), ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > MAX_BYTES:
            return Answer(Outcome.REFUSED, reason="too large")
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        try:
            encrypted = encrypt(body, token.p256dh, token.auth, ephemeral, secrets.token_bytes(16))
        except NotAKey:
            return Answer(Outcome.GONE, reason="not a key")
        headers = {
            "authorization": f"vapid t={self._vapid(config, token.address)}, k={encode(config.public_key)}",
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            **headers_of(sent, self._clock.now().timestamp()),
        }
        response = await self._http.post(token.address, headers, encrypted)
        return response.answer()

    def _vapid(self, config: WebPush, endpoint: str) -> str:
        now = self._clock.now().timestamp()
        audience = origin(endpoint)
        if self._made_by is not config:
            self._tokens.clear()
            self._made_by = config
        made, end = self._tokens.get(audience, ("", 0.0))
        if now < end - RENEW_BEFORE_S:
            return made
        end = now + VAPID_LIFE_S
        made = jwt.encode(
            {"aud": audience, "exp": int(end), "sub": config.subject}, config.private_key, algorithm="ES256"
        )
        self._tokens[audience] = (made, end)
        if len(self._tokens) > MAX_ORIGINS:
            self._tokens.popitem(last=False)
        return made


def headers_of(sent: Effect, now_s: float) -> dict[str, str]:
    """How long the push service keeps it, how much it matters, and what it takes the place of."""
    if not isinstance(sent, Notify):
        urgency = "high" if sent.is_urgent else "normal"
    else:
        urgency = "low" if sent.notice.is_quiet else "high" if sent.notice.kind is NoticeKind.CALL else "normal"
    return {"ttl": str(ttl_s(sent, now_s)), "urgency": urgency, "topic": topic_of(sent)}


def topic_of(sent: Effect) -> str:
    """At most 32 of base64url (RFC 8030, section 5.4), which a thread's key is longer than."""
    return encode(hashlib.sha256(sent.key.encode()).digest())[:32]


def encode(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
