"""Apple's push notification service: HTTP/2 with provider tokens."""

import json
from collections.abc import Callable
from typing import Any

import jwt

from services.push.clients.http import HttpClient, Response
from services.push.core.attempts import Answer, Outcome, outcome_of
from services.push.core.effects import Effect, Notify, TakeBack
from services.push.core.model import NoticeKind, Provider, Token
from services.push.core.payloads import payload
from services.push.providers import Apns
from services.runtime.clock import Clock

# Apple refuses tokens that are older than an hour, and new ones more often than every 20 minutes.
TOKEN_LIFE_S = 45 * 60.0
IMMEDIATE, WHEN_IT_SUITS = "10", "5"

# https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
_GONE = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})
_OURS = frozenset({"ExpiredProviderToken", "InvalidProviderToken", "MissingProviderToken", "TopicDisallowed"})


class ApnsSender:
    """See ports.Sender: of both of Apple's kinds of tokens."""

    def __init__(self, config: Callable[[], Apns | None], http: HttpClient, clock: Clock) -> None:
        self._config = config
        self._http = http
        self._clock = clock
        self._token = ""
        self._made_at = 0.0
        self._made_by: Apns | None = None

    async def send(self, token: Token, sent: Effect) -> Answer:
        config = self._config()
        if config is None:
            return Answer(Outcome.UNAVAILABLE, reason="not configured")
        headers = {"authorization": f"bearer {self._provider_token(config)}", **headers_of(token, sent)}
        body = json.dumps(body_of(sent), ensure_ascii=False, separators=(",", ":")).encode()
        response = await self._http.post(f"{config.url}/3/device/{token.address}", headers, body)
        answer = answer_of(response)
        if answer.reason in _OURS:
            # The next attempt signs anew, in case the clock or the key was at fault.
            self._made_by = None
        return answer

    def _provider_token(self, config: Apns) -> str:
        now = self._clock.now().timestamp()
        if self._made_by is not config or not 0 <= now - self._made_at < TOKEN_LIFE_S:
            claims = {"iss": config.team_id, "iat": int(now)}
            self._token = jwt.encode(claims, config.private_key, algorithm="ES256", headers={"kid": config.key_id})
            self._made_at, self._made_by = now, config
        return self._token


def headers_of(token: Token, sent: Effect) -> dict[str, str]:
    """All but who sends."""
    is_voip = token.provider is Provider.APNS_VOIP
    is_urgent = isinstance(sent, Notify) and not sent.notice.is_quiet
    return {
        "apns-topic": f"{token.app}.voip" if is_voip else token.app,
        # Also what is taken back: it sets the badge, which Apple allows no background push.
        "apns-push-type": "voip" if is_voip else "alert",
        "apns-priority": IMMEDIATE if is_urgent else WHEN_IT_SUITS,
        # What is taken back is of use until it was: at once, or with the next start of the app.
        "apns-expiration": str(int(sent.expire_time.timestamp())) if isinstance(sent, Notify) else "0",
        # VoIP pushes are never collapsed.
        **({} if is_voip else {"apns-collapse-id": sent.key}),
    }


def body_of(sent: Effect) -> dict[str, Any]:
    """`aps` is for the system, `parley` for the app, whose service extension turns ids into names."""
    if isinstance(sent, TakeBack):
        return {"aps": {"content-available": 1, "badge": sent.badge}, "parley": payload(sent)}
    notice = sent.notice
    if notice.kind is NoticeKind.CALL:
        aps: dict[str, Any] = {"alert": {"loc-key": "PARLEY_CALL"}, "sound": "default", "mutable-content": 1}
        return {"aps": aps, "parley": payload(sent)}
    alert: dict[str, Any] = {"loc-key": f"PARLEY_{notice.kind.name}"}
    if notice.text:
        alert = {"body": notice.text, **({"title": notice.title} if notice.title else {})}
    aps = {
        "alert": alert,
        "badge": sent.badge,
        "thread-id": notice.conversation_id,
        "mutable-content": 1,
        **({"interruption-level": "passive"} if notice.is_quiet else {"sound": "default"}),
    }
    # The words stand in the alert.
    return {"aps": aps, "parley": {name: value for name, value in payload(sent).items() if name != "text"}}


def answer_of(response: Response) -> Answer:
    """What Apple's answer means: its reason says more than its status."""
    reason = _reason(response.body)
    if reason in _GONE:
        return response.answer(Outcome.GONE, reason)
    if reason in _OURS:
        return response.answer(Outcome.UNAVAILABLE, reason)
    if reason == "TooManyRequests":
        return response.answer(Outcome.BUSY, reason)
    # A 404 is of our making (BadPath): no token goes for it.
    return response.answer(outcome_of(response.status, gone=frozenset({410})), reason)


def _reason(body: bytes) -> str:
    try:
        reason = json.loads(body).get("reason", "") if body else ""
    except (ValueError, AttributeError, RecursionError):
        return ""
    return reason if isinstance(reason, str) and reason.isidentifier() and len(reason) <= 64 else ""
