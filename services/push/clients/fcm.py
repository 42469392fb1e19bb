"""Google's Firebase Cloud Messaging: HTTP v1, as a service account."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import jwt

from services.push.clients.http import HttpClient, Response
from services.push.core.attempts import Answer, Outcome, outcome_of
from services.push.core.effects import Effect, Notify, ttl_s
from services.push.core.model import NoticeKind, Token
from services.push.core.payloads import as_texts, payload
from services.push.providers import Fcm
from services.runtime.clock import Clock

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Google gives access tokens for an hour at most.
ASSERTION_LIFE_S = 3_600
# An access token is renewed so long before its end. Raising it renews more often; lowering it sends with one that ends
# on the way.
RENEW_BEFORE_S = 300.0

_CODES = {
    "UNREGISTERED": Outcome.GONE,
    "SENDER_ID_MISMATCH": Outcome.GONE,
    "QUOTA_EXCEEDED": Outcome.BUSY,
    "UNAVAILABLE": Outcome.UNAVAILABLE,
    "INTERNAL": Outcome.UNAVAILABLE,
    "THIRD_PARTY_AUTH_ERROR": Outcome.UNAVAILABLE,
    "INVALID_ARGUMENT": Outcome.REFUSED,
}


class FcmSender:
    """See ports.Sender."""

    def __init__(self, config: Callable[[], Fcm | None], http: HttpClient, clock: Clock) -> None:
        self._config = config
        self._http = http
        self._clock = clock
        self._access = ""
        self._good_until = 0.0
        self._made_by: Fcm | None = None
        # One asks, the others wait for what it gets.
        self._asking = asyncio.Lock()

    async def send(self, token: Token, sent: Effect) -> Answer:
        config = self._config()
        if config is None:
            return Answer(Outcome.UNAVAILABLE, reason="not configured")
        access = await self._access_token(config)
        if isinstance(access, Response):
            return access.answer(Outcome.UNAVAILABLE, "no access token")
        now_s = self._clock.now().timestamp()
        body = json.dumps({"message": message_of(token, sent, now_s)}, ensure_ascii=False).encode()
        headers = {"authorization": f"Bearer {access}", "content-type": "application/json"}
        url = f"{config.url}/v1/projects/{config.project_id}/messages:send"
        response = await self._http.post(url, headers, body)
        if response.status == 401:
            self._made_by = None
        return answer_of(response)

    async def _access_token(self, config: Fcm) -> str | Response:
        """An access token; or the answer that is none."""
        async with self._asking:
            now = self._clock.now().timestamp()
            if self._made_by is config and now < self._good_until:
                return self._access
            claims = {
                "iss": config.client_email,
                "scope": SCOPE,
                "aud": config.token_url,
                "iat": int(now),
                "exp": int(now) + ASSERTION_LIFE_S,
            }
            assertion = jwt.encode(claims, config.private_key, algorithm="RS256")
            form = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
            headers = {"content-type": "application/x-www-form-urlencoded"}
            response = await self._http.post(config.token_url, headers, form)
            found = _read_json(response.body) if response.status == 200 else {}
            access, life_s = found.get("access_token"), found.get("expires_in")
            if not isinstance(access, str) or not access.isascii() or not isinstance(life_s, int):
                return response
            self._access, self._made_by = access, config
            self._good_until = now + life_s - RENEW_BEFORE_S
            return access


def message_of(token: Token, sent: Effect, now_s: float) -> dict[str, Any]:
    """A message of data alone: the app shows it, in its own words and with the names that it knows."""
    is_urgent = sent.is_urgent if not isinstance(sent, Notify) else not sent.notice.is_quiet
    is_call = isinstance(sent, Notify) and sent.notice.kind is NoticeKind.CALL
    return {
        "token": token.address,
        "data": as_texts(payload(sent)),
        "android": {
            "collapse_key": sent.key,
            "priority": "HIGH" if is_urgent or is_call else "NORMAL",
            "ttl": f"{ttl_s(sent, now_s)}s",
        },
    }


def answer_of(response: Response) -> Answer:
    """What Google's answer means: the code in its details says more than its status."""
    code = _code(response.body) if response.status >= 400 else ""
    # A 404 without a word is of a project that is not there: no token goes for it.
    return response.answer(_CODES.get(code) or outcome_of(response.status, gone=frozenset()), code)


def _code(body: bytes) -> str:
    error = _read_json(body).get("error")
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        code = detail.get("errorCode") if isinstance(detail, dict) else None
        if isinstance(code, str) and code in _CODES:
            return code
    return ""


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
