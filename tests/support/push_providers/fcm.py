"""Firebase Cloud Messaging."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.http2_server import Reply, Request
from tests.support.push_providers.provider import Arrival, Provider, Refused, pem_of, require

PROJECT = "parley-test"


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
        require(request.path == f"/v1/projects/{PROJECT}/messages:send", _google(404, "NOT_FOUND"))
        scheme, _, access = request.headers.get("authorization", "").partition(" ")
        require(scheme == "Bearer" and access in self.access_tokens, _google(401, "UNAUTHENTICATED"))
        message = json.loads(request.body)["message"]
        data, android = message["data"], message["android"]
        require(all(isinstance(value, str) for value in data.values()), _google(400, "INVALID_ARGUMENT"))
        require(not set(data) & {"from", "message_type", "notification"}, _google(400, "INVALID_ARGUMENT"))
        require(android["priority"] in ("HIGH", "NORMAL"), _google(400, "INVALID_ARGUMENT"))
        require(android["ttl"].endswith("s") and 0 <= int(android["ttl"][:-1]) <= 2_419_200, _google(400, "X"))
        require(len(json.dumps(data).encode()) <= 4_096, _google(400, "INVALID_ARGUMENT"))
        require(message["token"] not in self.gone, _google(404, "UNREGISTERED"))
        self.arrivals.append(
            Arrival(message["token"], android["collapse_key"], data, {"priority": android["priority"]})
        )
        return Reply(200, json.dumps({"name": f"projects/{PROJECT}/messages/1"}).encode())

    def _give_token(self, request: Request) -> Reply:
        form = parse_qs(request.body.decode())
        require(form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"], Reply(400))
        try:
            claims = jwt.decode(
                form["assertion"][0], self.key.public_key(), algorithms=["RS256"], audience=f"{self.url}/token"
            )
        except jwt.InvalidTokenError:
            raise Refused(Reply(400, b'{"error":"invalid_grant"}')) from None
        require(claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging", Reply(400))
        require(claims["exp"] - claims["iat"] <= 3_600, Reply(400))
        self.access_tokens.append(f"access-{len(self.access_tokens)}")
        body = {"access_token": self.access_tokens[-1], "expires_in": 3_599, "token_type": "Bearer"}
        return Reply(200, json.dumps(body).encode())


def _google(status: int, code: str) -> Reply:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    error = {"code": status, "message": "no", "details": [{"@type": kind, "errorCode": code}]}
    return Reply(status, json.dumps({"error": error}).encode())
