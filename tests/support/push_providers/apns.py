"""Apple's Push Notification service."""

from __future__ import annotations

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.http2_server import Reply, Request
from tests.support.push_providers.provider import Arrival, Provider, Refused, pem_of, require

APP = "com.example.parley"


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
        require(request.method == "POST" and device != request.path, _apple(404, "BadPath"))
        kind = headers.get("apns-push-type")
        topic = {"voip": f"{APP}.voip"}.get(kind or "", APP)
        require(headers.get("apns-topic") == topic, _apple(400, "DeviceTokenNotForTopic"))
        require(kind in ("alert", "background", "voip"), _apple(400, "InvalidPushType"))
        require(headers.get("apns-priority") in ("5", "10"), _apple(400, "BadPriority"))
        require(headers.get("apns-expiration", "").isdigit(), _apple(400, "BadExpirationDate"))
        require(len(headers.get("apns-collapse-id", "").encode()) <= 64, _apple(400, "BadCollapseId"))
        require(len(request.body) <= (5_120 if kind == "voip" else 4_096), _apple(413, "PayloadTooLarge"))
        require(device not in self.gone, _apple(410, "Unregistered"))
        body = json.loads(request.body)
        aps = body["aps"]
        if kind == "background":
            # Apple drops what is urgent, and what the user would notice.
            require(headers["apns-priority"] == "5" and aps.get("content-available") == 1, _apple(400, "BadPriority"))
            require(not {"alert", "sound", "badge"} & set(aps), _apple(400, "InvalidPushType"))
        fields = {**body["parley"], "aps": aps}
        self.arrivals.append(Arrival(device, headers.get("apns-collapse-id", ""), fields, headers))
        return Reply(200, headers={"apns-id": "id"})

    def _check_token(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        require(scheme.lower() == "bearer" and bool(token), _apple(403, "MissingProviderToken"))
        try:
            claims = jwt.decode(token, self.key.public_key(), algorithms=["ES256"], options={"require": ["iat", "iss"]})
        except jwt.InvalidTokenError:
            raise Refused(_apple(403, "InvalidProviderToken")) from None
        require(jwt.get_unverified_header(token).get("kid") == "KEY1", _apple(403, "InvalidProviderToken"))
        require(claims["iss"] == "TEAM1", _apple(403, "InvalidProviderToken"))


def _apple(status: int, reason: str) -> Reply:
    return Reply(status, json.dumps({"reason": reason}).encode())
