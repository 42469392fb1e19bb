"""One edge, five ways to speak to it: the buckets, the token's check and the routes are the same for all of them, and
whoever is refused reads why. Behind it are replicas that answer every call with what they were told of the caller."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import time
from typing import Any

import grpc
import jwt
import pytest
from aiohttp import ClientSession
from google.rpc import error_details_pb2

from deploy.envoy.render import MAX_REQUEST_BYTES
from tests.integration.test_edge_limits import BURST, EXHAUSTED, KEY, LARGE, Edge, running_edge, token

SERVICE = "/parley.messaging.v1.MessagingService"
STREAM = "/parley.gateway.v1.GatewayService/Subscribe"
EMPTY_FRAME = struct.pack(">BI", 0, 0)
CONNECT = {"connect-protocol-version": "1"}
ONE_A_SECOND = {"user_rate_burst": BURST, "user_rate_per_s": 1}
Headers = dict[str, str]


@dataclass
class Answer:
    """What plain HTTP brought."""

    status: int
    headers: Any
    body: bytes

    @property
    def reason(self) -> str:
        """Of a refusal in JSON, of the JSON API or of Connect."""
        for detail in json.loads(self.body).get("details", []):
            if "reason" in detail:
                return str(detail["reason"])
            if detail.get("type") == "google.rpc.ErrorInfo":
                info = error_details_pb2.ErrorInfo()
                info.ParseFromString(base64.b64decode(detail["value"] + "=="))
                return str(info.reason)
        return ""


def bearer(user: str | None) -> Headers:
    return {"authorization": f"Bearer {token(user)}"} if user else {}


async def http(edge: Edge, method: str, path: str, data: bytes = b"", **headers: str) -> Answer:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    async with (
        ClientSession() as session,
        session.request(method, edge.url + path, data=data or None, headers=named) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.read())


async def by_no_protocol(edge: Edge, content_type: str) -> Answer:
    return await http(edge, "POST", f"{SERVICE}/Sync", b"{}", **bearer("alice"), content_type=content_type)


async def in_json(edge: Edge, headers: Headers) -> Answer:
    return await http(edge, "GET", "/v1/settings", **headers)


async def in_json_with_a_body(edge: Edge, headers: Headers) -> Answer:
    return await http(edge, "POST", "/v1/sync", b"{}", **headers, content_type="application/json")


async def as_events(edge: Edge, headers: Headers) -> Answer:
    return await http(edge, "GET", "/v1/events?device_id=phone-0001", **headers)


async def by_connect_in_json(edge: Edge, headers: Headers) -> Answer:
    return await http(edge, "POST", f"{SERVICE}/Sync", b"{}", **headers, **CONNECT, content_type="application/json")


async def by_connect(edge: Edge, headers: Headers) -> Answer:
    return await http(edge, "POST", f"{SERVICE}/Sync", **headers, **CONNECT, content_type="application/proto")


async def by_connect_streaming(edge: Edge, headers: Headers) -> Answer:
    kind = "application/connect+proto"
    return await http(edge, "POST", STREAM, EMPTY_FRAME, **headers, content_type=kind)


JSON_KINDS = [in_json, in_json_with_a_body, as_events]
CONNECT_KINDS = [by_connect_in_json, by_connect, by_connect_streaming]


async def by_grpc_web(edge: Edge, headers: Headers) -> Answer:
    kind = "application/grpc-web+proto"
    return await http(edge, "POST", f"{SERVICE}/Sync", EMPTY_FRAME, **headers, content_type=kind, x_grpc_web="1")


def is_limited(answer: Answer) -> bool:
    return answer.status == 429 or answer.headers.get("grpc-status") == str(EXHAUSTED.value[0])


@pytest.fixture(scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    values = {**LARGE, **ONE_A_SECOND, "cors_origin_regex": "http://localhost:[0-9]+"}
    async with running_edge(tmp_path_factory.mktemp("edge"), **values) as running:
        yield running


@pytest.mark.parametrize("kind", [*JSON_KINDS, *CONNECT_KINDS, by_grpc_web], ids=lambda kind: kind.__name__)
async def test_who_has_used_up_their_share_has_none_by_another_protocol(edge: Edge, kind: Any) -> None:
    user = f"flooding-{kind.__name__}"
    told = [is_limited(await kind(edge, bearer(user))) for _ in range(4 * BURST)]
    assert not any(told[:BURST])
    assert told.count(True) > 2 * BURST
    # A share of its own would have been full.
    assert EXHAUSTED in await edge.flood(BURST, f"{SERVICE}/Sync", user)
    # And the other way round, in the way of the protocol.
    await edge.flood(2 * BURST, f"{SERVICE}/Sync", f"{user}-2")
    refused = next(filter(is_limited, [await kind(edge, bearer(f"{user}-2")) for _ in range(BURST)]))
    if kind is not by_grpc_web:
        assert refused.reason == "RATE_LIMITED"
        assert refused.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", [*JSON_KINDS, *CONNECT_KINDS], ids=lambda kind: kind.__name__)
async def test_who_has_no_good_token_reads_why_in_json(edge: Edge, kind: Any) -> None:
    claims = {"sub": "alice", "iss": "issuer", "aud": "parley", "exp": int(time()) - 3600}
    expired = jwt.encode(claims, KEY, algorithm="EdDSA", headers={"kid": "k1"})
    foreign = jwt.encode(claims | {"aud": "x", "exp": 2**32}, KEY, algorithm="EdDSA", headers={"kid": "k1"})
    reasons = {"": "TOKEN_MISSING", expired: "TOKEN_EXPIRED", "a.b.c": "TOKEN_INVALID", foreign: "TOKEN_INVALID"}
    for shown, reason in reasons.items():
        answer = await kind(edge, {"authorization": f"Bearer {shown}"} if shown else {})
        assert (answer.status, answer.reason) == (401, reason)
        code = json.loads(answer.body)["code"]
        assert code == ("unauthenticated" if kind in CONNECT_KINDS else grpc.StatusCode.UNAUTHENTICATED.value[0])


async def test_an_address_that_floods_is_refused_by_every_protocol(tmp_path_factory: pytest.TempPathFactory) -> None:
    small = {"address_rate_burst": BURST, "address_rate_per_s": 1}
    async with running_edge(tmp_path_factory.mktemp("edge"), **{**LARGE, **small}) as edge:
        told = [
            is_limited(await kind(edge, {}))
            for _ in range(BURST)
            for kind in (*JSON_KINDS, *CONNECT_KINDS, by_grpc_web)
        ]
        assert told.count(True) > 5 * BURST


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        ("POST", "/v1/sync", b'{"limit": 1', 400, "FIELD_INVALID"),
        ("POST", "/v1/sync", b'{"limit": "many"}', 400, "FIELD_INVALID"),
        ("POST", "/v1/sync", b"\xff\xfe", 400, "FIELD_INVALID"),
        ("POST", "/v1/sync", b'{"cursors":' * 5_000, 400, "FIELD_INVALID"),
        ("GET", "/v1/blocks?colour=red", b"", 400, "FIELD_INVALID"),
        ("GET", "/v1/blocks?page_size=many", b"", 400, "FIELD_INVALID"),
        ("POST", "/v1/nothing", b"{}", 404, "PATH_UNKNOWN"),
        ("DELETE", "/v1/sync", b"", 404, "PATH_UNKNOWN"),
        ("GET", "/v1/", b"", 404, "PATH_UNKNOWN"),
        ("POST", "/v1/sync", b'{"syncToken":"' + b"x" * 2 * MAX_REQUEST_BYTES + b'"}', 413, "REQUEST_TOO_LARGE"),
    ],
)
async def test_a_request_that_is_none_is_refused_in_json(
    edge: Edge, method: str, path: str, body: bytes, status: int, reason: str
) -> None:
    answer = await http(edge, method, path, body, **bearer(f"odd-{status}"), content_type="application/json")
    assert (answer.status, answer.reason) == (status, reason)
    assert json.loads(answer.body)["message"]


@pytest.mark.parametrize(
    "internal", ["/parley.sfu.v1.SfuService/Join", "/parley.messaging.v1.MembershipService/GetMembers"]
)
@pytest.mark.parametrize(("headers", "status"), [(CONNECT, 404), ({}, 415)], ids=["connect", "plain"])
async def test_what_is_internal_is_not_there_by_any_protocol(
    edge: Edge, internal: str, headers: Headers, status: int
) -> None:
    answer = await http(edge, "POST", internal, b"{}", **bearer("curious"), **headers, content_type="application/json")
    assert answer.status == status


@pytest.mark.parametrize("content_type", ["application/json", "application/proto", "text/plain"])
async def test_who_names_no_protocol_is_told_how_to_ask(edge: Edge, content_type: str) -> None:
    answer = await by_no_protocol(edge, content_type)
    assert answer.status == 415
    assert b"connect-protocol-version" in answer.body


@pytest.mark.parametrize("said", [["1 application/json"], ["1 application/json", "x"], [""]])
async def test_no_client_says_by_which_protocol_it_came(edge: Edge, said: list[str]) -> None:
    status, metadata = await edge.call(f"{SERVICE}/Sync", "liar", "", *(("x-parley-protocol", value) for value in said))
    assert status == grpc.StatusCode.OK
    (told,) = [value for key, value in metadata if key == "x-parley-protocol"]
    assert told.split() == ["application/grpc"]


async def test_the_type_of_an_answer_is_that_of_the_client(edge: Edge) -> None:
    assert (await by_connect_in_json(edge, bearer("typed"))).headers["content-type"] == "application/json"
    assert (await by_connect(edge, bearer("typed"))).headers["content-type"] == "application/proto"
    told = (
        await http(edge, "POST", STREAM, EMPTY_FRAME, **bearer("typed"), content_type="application/connect+json")
    ).headers
    assert told["content-type"] == "application/connect+json"


async def test_the_edge_serves_what_it_can_do(edge: Edge) -> None:
    answer = await http(edge, "GET", "/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body)["openapi"] == "3.1.0"


async def test_a_preflight_is_answered_before_a_token_or_a_protocol_is_asked_for(edge: Edge) -> None:
    answer = await http(
        edge,
        "OPTIONS",
        f"{SERVICE}/Sync",
        origin="http://localhost:5173",
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type",
    )
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
