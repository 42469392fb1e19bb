"""The edge: what it lets in from outside, and how a browser speaks to it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.gateway.v1 import service_pb2 as gateway
from parley.messaging.v1 import service_pb2 as messaging
from parley.messaging.v1.service_pb2_grpc import MembershipServiceStub
from parley.presence.v1.service_pb2_grpc import RouterServiceStub
from parley.sfu.v1 import service_pb2 as sfu
from parley.sfu.v1.service_pb2_grpc import SfuServiceStub

from deploy.embedded.record import StackRecord
from tests.integration.api.conftest import World, new_user, open_direct, refused, send
from tests.support.waiting import PATIENCE_S

MESSAGING = "parley.messaging.v1.MessagingService"
PAGE_ORIGIN = "http://localhost:5173"
# gRPC-Web: a frame is one byte of flags, a length, and the bytes; this flag marks the trailers.
TRAILERS = 0x80


@dataclass
class WebAnswer:
    """What a gRPC-Web call brought."""

    messages: list[bytes]
    trailers: dict[str, str]
    headers: Any
    http_status: int

    @property
    def status(self) -> int:
        """The gRPC status code; in the headers when there was no body."""
        return int(self.trailers.get("grpc-status", self.headers.get("grpc-status", "-1")))


def frame(message: Message) -> bytes:
    body = message.SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body


def unframe(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    messages: list[bytes] = []
    trailers: dict[str, str] = {}
    while body:
        flags, length = struct.unpack(">BI", body[:5])
        payload, body = body[5 : 5 + length], body[5 + length :]
        if flags & TRAILERS:
            lines = payload.decode().strip().splitlines()
            trailers = {key.strip().lower(): value.strip() for key, value in (line.split(":", 1) for line in lines)}
        else:
            messages.append(payload)
    return messages, trailers


async def web_call(record: StackRecord, path: str, request: Message, token: str | None) -> WebAnswer:
    """One unary gRPC-Web call over HTTP/1.1, as a browser makes it."""
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": PAGE_ORIGIN}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    url = f"http://{record.edge_address}/{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=frame(request), headers=headers) as response,
    ):
        body = await response.read()
        messages, trailers = unframe(body) if response.status == 200 else ([], {})
        return WebAnswer(messages, trailers, response.headers, response.status)


async def test_a_browser_sends_and_reads_over_grpc_web(world: World, record: StackRecord) -> None:
    alice, bob, conversation_id = await world.pair()
    request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id="web-1")
    request.text.text = "from a browser"
    answer = await web_call(record, f"{MESSAGING}/SendMessage", request, await alice.tokens.token())
    assert answer.status == 0
    assert messaging.SendMessageResponse.FromString(answer.messages[0]).message.seq == 1
    assert answer.headers["access-control-allow-origin"] == PAGE_ORIGIN
    page = await bob.messaging.ListMessages(messaging.ListMessagesRequest(conversation_id=conversation_id))
    assert page.messages[0].text.text == "from a browser"


async def test_a_browser_is_refused_with_a_status_that_it_can_read(world: World, record: StackRecord) -> None:
    alice, _, conversation_id = await world.pair()
    request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id="web-1")
    request.text.text = ""
    answer = await web_call(record, f"{MESSAGING}/SendMessage", request, await alice.tokens.token())
    assert answer.status == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    exposed = answer.headers["access-control-expose-headers"].replace(" ", "").split(",")
    assert {"grpc-status", "grpc-message", "grpc-status-details-bin"} <= set(exposed)


async def test_a_browser_without_a_token_is_told_so_in_a_way_that_its_page_may_read(record: StackRecord) -> None:
    answer = await web_call(record, f"{MESSAGING}/SendMessage", messaging.SendMessageRequest(), None)
    # Envoy's own refusals are plain HTTP to a browser: gRPC-Web clients take 401 for UNAUTHENTICATED.
    assert answer.http_status == 401 or answer.status == grpc.StatusCode.UNAUTHENTICATED.value[0]
    assert answer.headers["access-control-allow-origin"] == PAGE_ORIGIN


async def test_a_browser_follows_its_event_stream(world: World, record: StackRecord) -> None:
    alice, bob = world.device(), world.device()
    conversation_id = await open_direct(alice, bob.user_id)
    headers = {
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "authorization": f"Bearer {await bob.tokens.token()}",
    }
    url = f"http://{record.edge_address}/parley.gateway.v1.GatewayService/Subscribe"
    body = frame(gateway.SubscribeRequest(device_id=bob.device_id))
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=body, headers=headers) as response,
    ):
        kinds = [(await _next_event(response)).WhichOneof("event")]
        await send(alice, conversation_id, "live")
        while kinds[-1] != "message":
            kinds.append((await _next_event(response)).WhichOneof("event"))
    assert kinds[0] == "ready"


async def _next_event(response: aiohttp.ClientResponse) -> Any:
    flags, length = struct.unpack(">BI", await response.content.readexactly(5))
    assert not flags & TRAILERS
    return gateway.SubscribeResponse.FromString(await response.content.readexactly(length)).event


async def preflight(record: StackRecord, origin: str) -> Any:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-grpc-web,x-user-agent,grpc-timeout",
    }
    url = f"http://{record.edge_address}/{MESSAGING}/SendMessage"
    async with aiohttp.ClientSession() as session, session.options(url, headers=headers) as response:
        return response


async def test_a_preflight_of_a_known_origin_needs_no_token(record: StackRecord) -> None:
    response = await preflight(record, PAGE_ORIGIN)
    assert response.status == 200
    assert response.headers["access-control-allow-origin"] == PAGE_ORIGIN
    allowed = response.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert {"authorization", "content-type", "x-grpc-web", "x-user-agent", "grpc-timeout"} <= set(allowed)
    assert "POST" in response.headers["access-control-allow-methods"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", "null"])
async def test_a_foreign_origin_gets_no_permission(record: StackRecord, origin: str) -> None:
    response = await preflight(record, origin)
    assert "access-control-allow-origin" not in response.headers


async def _get_members(channel: grpc.aio.Channel, metadata: Any) -> None:
    stub: Any = MembershipServiceStub(channel)
    await stub.GetMembers(messaging.GetMembersRequest(), metadata=metadata, timeout=PATIENCE_S)


async def _attach(channel: grpc.aio.Channel, metadata: Any) -> None:
    stub: Any = RouterServiceStub(channel)
    await stub.Attach(iter(()), metadata=metadata, timeout=PATIENCE_S).read()


async def _join(channel: grpc.aio.Channel, metadata: Any) -> None:
    stub: Any = SfuServiceStub(channel)
    await stub.Join(sfu.JoinRequest(), metadata=metadata, timeout=PATIENCE_S)


async def _check_health(channel: grpc.aio.Channel, metadata: Any) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    await stub.Check(health_pb2.HealthCheckRequest(), metadata=metadata, timeout=PATIENCE_S)


INTERNAL = [("messaging", _get_members), ("presence", _attach), ("sfu-1", _join)]


@pytest.mark.parametrize("call", [*(call for _, call in INTERNAL), _check_health], ids=lambda call: call.__name__)
async def test_what_is_internal_is_not_there_from_outside(world: World, record: StackRecord, call: Any) -> None:
    token = await world.device().tokens.token()
    async with grpc.aio.insecure_channel(record.edge_address) as channel:
        with refused(grpc.StatusCode.UNIMPLEMENTED):
            await call(channel, [("authorization", f"Bearer {token}")])


@pytest.mark.parametrize(("service", "call"), INTERNAL, ids=lambda value: getattr(value, "__name__", value))
async def test_a_users_token_opens_nothing_internal(world: World, record: StackRecord, service: str, call: Any) -> None:
    token = await world.device(new_user()).tokens.token()
    async with grpc.aio.insecure_channel(record.grpc_addresses[service]) as channel:
        with refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"):
            await call(channel, [("authorization", f"Bearer {token}")])


@pytest.mark.parametrize("body", [b"\x00\x00\x00\x00\x03\xff\xff\xff", b"\xff" * 64, b"\x01" + b"\x00" * 4])
async def test_bytes_that_are_no_request_are_refused_and_the_service_goes_on(
    world: World, record: StackRecord, body: bytes
) -> None:
    alice, _, conversation_id = await world.pair()
    headers = {
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "authorization": f"Bearer {await alice.tokens.token()}",
    }
    url = f"http://{record.edge_address}/{MESSAGING}/SendMessage"
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=body, headers=headers) as response,
    ):
        _, trailers = unframe(await response.read())
        status = int(trailers.get("grpc-status", response.headers.get("grpc-status", "-1")))
        assert status not in (0, -1) or response.status >= 400
    assert (await send(alice, conversation_id, "still there")).seq == 1
