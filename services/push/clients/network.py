"""The network's own sender: signed webhooks (standardwebhooks.com)."""

import json
from collections.abc import Callable
from uuid import NAMESPACE_URL, uuid5

from services.push.clients.http import HttpClient
from services.push.core.attempts import Answer, Outcome, outcome_of
from services.push.core.effects import Effect, Notify
from services.push.core.model import Token
from services.push.core.payloads import payload
from services.push.providers import Network
from services.runtime.clock import Clock
from services.runtime.http.webhooks import signed_headers

# 404 is an address of the network's that is wrong, and no token.
_GONE = frozenset({410})


class NetworkSender:
    """See ports.Sender. A repeated attempt has the same `webhook-id`; the receiver drops what it has."""

    def __init__(self, config: Callable[[], Network | None], http: HttpClient, clock: Clock) -> None:
        self._config = config
        self._http = http
        self._clock = clock

    async def send(self, token: Token, sent: Effect) -> Answer:
        config = self._config()
        if config is None:
            return Answer(Outcome.UNAVAILABLE, reason="not configured")
        body = {
            "type": "notification.show" if isinstance(sent, Notify) else "notification.take_back",
            "timestamp": self._clock.now().isoformat().replace("+00:00", "Z"),
            "data": {
                "user_id": token.user_id,
                "device_id": token.device_id,
                "token": token.address,
                "notice": payload(sent),
            },
        }
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        webhook_id = str(uuid5(NAMESPACE_URL, f"{token.id}/{sent.key}/{sent.version}/{body['type']}"))
        now_s = int(self._clock.now().timestamp())
        response = await self._http.post(config.url, signed_headers(config.secrets, webhook_id, now_s, data), data)
        return response.answer(outcome_of(response.status, gone=_GONE))
