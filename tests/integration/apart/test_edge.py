"""The edge with the issuer behind it, as clients of all kinds see it. No service runs: none needs to be reached."""

from __future__ import annotations

import json
import re
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import grpc
import pytest

from deploy.embedded.record import StackRecord
from deploy.observability.queries import EDGE_METRICS
from tests.support.stack import run_stack
from tests.support.waiting import PATIENCE_S, eventually, until

pytestmark = pytest.mark.stack

# What a client may call, and what only the services may call among themselves.
PUBLIC = [
    "/parley.messaging.v1.MessagingService/ListConversations",
    "/parley.messaging.v1.RelationsService/GetSettings",
    "/parley.presence.v1.PresenceService/SetTyping",
    "/parley.gateway.v1.GatewayService/Subscribe",
    "/parley.calls.v1.CallsService/ListActiveCalls",
]
INTERNAL = [
    "/parley.messaging.v1.MembershipService/GetMembers",
    "/parley.messaging.v1.ModerationService/ListReports",
    "/parley.presence.v1.RouterService/Attach",
    "/parley.gateway.v1.GatewayAdminService/FindDevices",
    "/parley.sfu.v1.SfuService/Join",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/grpc.health.v1.Health/Check",
    "//parley.messaging.v1.MembershipService/GetMembers",
    "/parley.messaging.v1.MessagingService/../../parley.sfu.v1.SfuService/Join",
    "/./parley.sfu.v1.SfuService/Join",
]
EMPTY_FRAME = struct.pack(">BI", 0, 0)


@pytest.fixture(scope="module")
def edge() -> Iterator[StackRecord]:
    with run_stack("edge", parts=("issuer", "edge")) as running:
        yield running.record


async def get(edge: StackRecord, path: str, method: str = "GET") -> tuple[int, str]:
    """From the listener for scrapes."""
    url = f"http://{edge.metrics_addresses['edge']}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
        return answer.status, await answer.text()


async def test_a_scrape_finds_every_metric_that_rules_and_dashboards_ask_of_the_edge(edge: StackRecord) -> None:
    await token(edge)

    async def has_all() -> bool:
        status, text = await get(edge, "/metrics")
        found: dict[str, set[str]] = {}
        for name, labels in re.findall(r"^(envoy_\w+)(?:\{([^}]*)\})? ", text, re.MULTILINE):
            found.setdefault(name, set()).update(re.findall(r"(\w+)=", labels))
        return status == 200 and all(labels <= found.get(name, {""}) for name, labels in EDGE_METRICS.items())

    # Envoy adds up its histograms every 5 s.
    await eventually(has_all)


@pytest.mark.parametrize("path", ["/config_dump", "/stats", "/clusters", "/certs", "/metrics/", "/"])
async def test_a_scrape_can_ask_for_nothing_else_of_the_admin_port(edge: StackRecord, path: str) -> None:
    assert (await get(edge, path))[0] == 404
    assert (await get(edge, "/metrics", "POST"))[0] == 404


async def test_neither_tokens_nor_users_stand_in_the_edges_metrics_and_log(edge: StackRecord) -> None:
    user, trace_id = f"user-{secrets.token_hex(8)}", secrets.token_hex(16)
    jwt = await token(edge, user_id=user)
    path = f"http://{edge.edge_address}/parley.messaging.v1.MessagingService/ListConversations?token={jwt}"
    async with aiohttp.ClientSession() as session:
        headers = {
            "authorization": f"Bearer {jwt}",
            "content-type": "application/grpc-web+proto",
            "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
        }
        async with session.post(path, data=EMPTY_FRAME, headers=headers) as answer:
            await answer.read()
    log = Path(edge.log_folder) / "edge.log"
    # Envoy writes its log out every 10 s.
    await until(lambda: trace_id in log.read_text(), what="the request in the log")
    told = (await get(edge, "/metrics"))[1] + log.read_text()
    for secret in (jwt, jwt.split(".")[1], user):
        assert secret not in told
    # By it one finds who floods.
    (line,) = [line for line in log.read_text().splitlines() if trace_id in line]
    assert json.loads(line)["address"] == "127.0.0.1"


async def token(edge: StackRecord, **fields: object) -> str:
    url = f"{edge.web_url}dev/login"
    async with aiohttp.ClientSession() as session, session.post(url, json={"user_id": "alice"} | fields) as answer:
        text: str = (await answer.json())["token"]
        return text


async def call(edge: StackRecord, method: str, bearer: str | None) -> grpc.aio.AioRpcError:
    """The error of a unary call with an empty request."""
    metadata = [("authorization", f"Bearer {bearer}")] if bearer is not None else []
    async with grpc.aio.insecure_channel(edge.edge_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(method)(b"", metadata=metadata, timeout=PATIENCE_S)
    return caught.value


async def call_from_a_page(edge: StackRecord, method: str, bearer: str | None) -> str | None:
    """The gRPC status of a gRPC-Web call over HTTP/1.1."""
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    if bearer is not None:
        headers["authorization"] = f"Bearer {bearer}"
    url = edge.web_url.rstrip("/") + method
    async with aiohttp.ClientSession() as session, session.post(url, data=EMPTY_FRAME, headers=headers) as answer:
        return answer.headers.get("grpc-status")


@pytest.mark.parametrize("method", PUBLIC)
async def test_call_without_a_token_is_unauthenticated(edge: StackRecord, method: str) -> None:
    assert (await call(edge, method, None)).code() == grpc.StatusCode.UNAUTHENTICATED
    assert await call_from_a_page(edge, method, None) == "16"


@pytest.mark.parametrize("bearer", ["", "x", "a.b.c", "e30.e30.e30"])
async def test_call_with_a_token_that_is_none_is_unauthenticated(edge: StackRecord, bearer: str) -> None:
    assert (await call(edge, PUBLIC[0], bearer)).code() == grpc.StatusCode.UNAUTHENTICATED
    assert await call_from_a_page(edge, PUBLIC[0], bearer) == "16"


async def test_call_with_an_expired_token_is_unauthenticated_and_says_why(edge: StackRecord) -> None:
    expired = await token(edge, ttl_s=-3600)
    error = await call(edge, PUBLIC[0], expired)
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    assert "expired" in (error.details() or "")
    assert await call_from_a_page(edge, PUBLIC[0], expired) == "16"


async def test_call_with_a_token_that_has_just_expired_is_routed_since_clocks_differ(edge: StackRecord) -> None:
    assert (await call(edge, PUBLIC[0], await token(edge, ttl_s=-1))).code() == grpc.StatusCode.UNAVAILABLE


async def test_call_with_a_changed_token_is_unauthenticated(edge: StackRecord) -> None:
    head, _, _ = (await token(edge)).rpartition(".")
    _, _, signature = (await token(edge, user_id="mallory")).rpartition(".")
    assert (await call(edge, PUBLIC[0], f"{head}.{signature}")).code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("method", PUBLIC)
async def test_call_with_a_good_token_is_routed(edge: StackRecord, method: str) -> None:
    # UNAVAILABLE is what Envoy says for a route whose service does not run.
    assert (await call(edge, method, await token(edge))).code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("method", INTERNAL)
async def test_internal_call_is_not_routed_even_with_a_good_token(edge: StackRecord, method: str) -> None:
    assert (await call(edge, method, await token(edge))).code() == grpc.StatusCode.UNIMPLEMENTED


async def test_tokens_of_a_new_key_are_accepted_soon(edge: StackRecord) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{edge.issuer_url}/dev/rotate") as answer:
        assert answer.status == 200
    fresh = await token(edge)
    # The edge asks for the keys again within its cache's life; grpc's own timeout bounds each try.
    while (await call(edge, PUBLIC[0], fresh)).code() == grpc.StatusCode.UNAUTHENTICATED:
        pass


async def test_page_of_another_origin_may_not_call_the_api(edge: StackRecord) -> None:
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    url = edge.web_url.rstrip("/") + PUBLIC[0]
    async with aiohttp.ClientSession() as session:
        async with session.options(url, headers={"origin": "https://evil.example", **preflight}) as answer:
            assert "access-control-allow-origin" not in answer.headers
        async with session.options(url, headers={"origin": "http://localhost:5173", **preflight}) as answer:
            assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
            assert "authorization" in answer.headers["access-control-allow-headers"]


async def test_escaped_slash_in_a_path_is_refused(edge: StackRecord) -> None:
    url = edge.web_url + "parley.messaging.v1.MessagingService%2f..%2f..%2fparley.sfu.v1.SfuService/Join"
    async with aiohttp.ClientSession() as session, session.post(aiohttp.client.URL(url, encoded=True)) as answer:
        assert answer.status == 400
