"""Who one is: what the edge and each service say to tokens that are missing, foreign, expired or meant for others."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from parley.calls.v1 import service_pb2 as calls
from parley.calls.v1.service_pb2_grpc import CallsServiceStub
from parley.gateway.v1 import service_pb2 as gateway
from parley.gateway.v1.service_pb2_grpc import GatewayServiceStub
from parley.messaging.v1 import service_pb2 as messaging
from parley.messaging.v1.service_pb2_grpc import MessagingServiceStub
from parley.presence.v1 import service_pb2 as presence
from parley.presence.v1.service_pb2_grpc import PresenceServiceStub

from deploy.embedded.issuer import AUDIENCE, ISSUER
from deploy.embedded.keys import KeyRing
from deploy.embedded.record import StackRecord
from parley_client.client import http_login
from tests.integration.api.conftest import new_user, read_to_the_end, refused
from tests.support.waiting import PATIENCE_S, eventually

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
Call = Callable[[grpc.aio.Channel, Any], Awaitable[object]]


async def list_conversations(channel: grpc.aio.Channel, metadata: Any) -> object:
    stub: Any = MessagingServiceStub(channel)
    return await stub.ListConversations(messaging.ListConversationsRequest(), metadata=metadata, timeout=PATIENCE_S)


async def list_calls(channel: grpc.aio.Channel, metadata: Any) -> object:
    stub: Any = CallsServiceStub(channel)
    return await stub.ListActiveCalls(calls.ListActiveCallsRequest(), metadata=metadata, timeout=PATIENCE_S)


async def watch_presence(channel: grpc.aio.Channel, metadata: Any) -> object:
    stub: Any = PresenceServiceStub(channel)
    return await stub.WatchPresence(
        presence.WatchPresenceRequest(device_id="device-1"), metadata=metadata, timeout=PATIENCE_S
    )


async def subscribe(channel: grpc.aio.Channel, metadata: Any) -> object:
    stub: Any = GatewayServiceStub(channel)
    call = stub.Subscribe(gateway.SubscribeRequest(device_id="device-1"), metadata=metadata, timeout=PATIENCE_S)
    return await call.read()


# The service behind each call, by its name in the record.
CALLS: list[tuple[str, Call]] = [
    ("messaging", list_conversations),
    ("signaling", list_calls),
    ("gateway", watch_presence),
    ("gateway", subscribe),
]


class Tokens:
    """Tokens of every kind, for one user."""

    def __init__(self, record: StackRecord) -> None:
        self._record = record
        self._user_id = new_user()

    async def make(self, kind: str) -> str:
        """A token of the named kind."""
        if kind in ("good", "expired"):
            login = http_login(self._record.issuer_url, ttl_s=3600 if kind == "good" else -60)
            return (await login(self._user_id)).value
        ring = KeyRing(_key_file(self._record))
        key = Ed25519PrivateKey.generate() if kind == "foreign key" else ring.current.private
        claims: dict[str, object] = {
            "iss": "https://elsewhere.invalid" if kind == "wrong issuer" else ISSUER,
            "aud": "another-app" if kind == "wrong audience" else AUDIENCE,
            "sub": "" if kind == "no subject" else self._user_id,
            "iat": int(time.time()),
            "exp": int(time.time()) + (25 * 3600 if kind.startswith("lives too long") else 600),
        }
        if kind == "never expires":
            del claims["exp"]
        if kind == "lives too long, from no time":
            del claims["iat"]
        if kind == "no signature":
            return jwt.encode(claims, None, algorithm="none", headers={"kid": ring.current.kid})
        kid = "unknown" if kind == "unknown key" else ring.current.kid
        return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid})


def _key_file(record: StackRecord) -> Path:
    # The issuer signs for one audience only, so that a token for another takes its key, wherever that is kept.
    arguments = Path(f"/proc/{record.pids['issuer']}/cmdline").read_bytes().decode().split("\0")
    return Path(arguments[arguments.index("--keys") + 1])


FORGED = [
    *("foreign key", "wrong audience", "wrong issuer", "no subject", "never expires", "no signature", "unknown key"),
    *("lives too long", "lives too long, from no time"),
]


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


@pytest.mark.parametrize(("service", "call"), CALLS, ids=lambda value: getattr(value, "__name__", value))
async def test_a_good_token_is_taken_by_the_edge_and_by_the_service(
    record: StackRecord, service: str, call: Call
) -> None:
    token = await Tokens(record).make("good")
    for address in (record.edge_address, record.grpc_addresses[service]):
        async with grpc.aio.insecure_channel(address) as channel:
            await call(channel, bearer(token))


@pytest.mark.parametrize(("service", "call"), CALLS, ids=lambda value: getattr(value, "__name__", value))
async def test_the_service_itself_names_what_is_wrong_with_a_token(
    record: StackRecord, service: str, call: Call
) -> None:
    tokens = Tokens(record)
    async with grpc.aio.insecure_channel(record.grpc_addresses[service]) as channel:
        for metadata in ([], [("authorization", "Bearer ")], [("authorization", "Basic abc")]):
            with refused(UNAUTHENTICATED, "TOKEN_MISSING"):
                await call(channel, metadata)
        with refused(UNAUTHENTICATED, "TOKEN_EXPIRED"):
            await call(channel, bearer(await tokens.make("expired")))
        for kind in FORGED:
            with refused(UNAUTHENTICATED, "TOKEN_INVALID"):
                await call(channel, bearer(await tokens.make(kind)))
        with refused(UNAUTHENTICATED, "TOKEN_INVALID"):
            await call(channel, bearer("not.a.token"))


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=lambda call: call.__name__)
async def test_the_edge_lets_no_bad_token_through(record: StackRecord, call: Call) -> None:
    tokens = Tokens(record)
    bad = [await tokens.make(kind) for kind in ("expired", "foreign key", "wrong audience", "wrong issuer")]
    async with grpc.aio.insecure_channel(record.edge_address) as channel:
        with refused(UNAUTHENTICATED):
            await call(channel, [])
        for token in bad:
            with refused(UNAUTHENTICATED):
                await call(channel, bearer(token))


async def test_a_stream_ends_when_its_token_does(record: StackRecord) -> None:
    token = (await http_login(record.issuer_url, ttl_s=2)(new_user())).value
    async with grpc.aio.insecure_channel(record.grpc_addresses["gateway"]) as channel:
        stub: Any = GatewayServiceStub(channel)
        call = stub.Subscribe(
            gateway.SubscribeRequest(device_id="device-1"), metadata=bearer(token), timeout=PATIENCE_S
        )
        with refused(UNAUTHENTICATED, "TOKEN_EXPIRED"):
            await read_to_the_end(call)


async def test_a_new_signing_key_is_taken_soon_and_the_old_ones_tokens_stay_good(record: StackRecord) -> None:
    tokens = Tokens(record)
    old = await tokens.make("good")
    async with aiohttp.ClientSession() as session, session.post(f"{record.issuer_url}/dev/rotate") as response:
        response.raise_for_status()
    new = await tokens.make("good")
    for service, call in CALLS:
        for address in (record.grpc_addresses[service], record.edge_address):
            async with grpc.aio.insecure_channel(address) as channel:
                await call(channel, bearer(old))
                await until_taken(call, channel, new)


async def until_taken(call: Call, channel: grpc.aio.Channel, token: str) -> None:
    """Until the new key has been fetched, the token of a new key is refused."""

    async def is_taken() -> bool:
        try:
            await call(channel, bearer(token))
        except grpc.aio.AioRpcError as error:
            if error.code() is not UNAUTHENTICATED:
                raise
            return False
        return True

    await eventually(is_taken, what="the new key at whoever was called")
