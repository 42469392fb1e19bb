"""The network's own sender of notices."""

from __future__ import annotations

import base64
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.http2_server import Reply, Request
from tests.support.push_providers.provider import Arrival, Provider, Refused, require

SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()


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
        require(data["token"] not in self.gone, Reply(410))
        headers = {"webhook-id": request.headers["webhook-id"], "type": said["type"], "user": data["user_id"]}
        self.arrivals.append(Arrival(data["token"], data["notice"]["thread"], data["notice"], headers))
        return Reply(200)
