"""A real server with every RPC that users call: one user floods, and the others notice nothing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc import error_details_pb2, status_pb2
from parley.messaging.v1 import service_pb2 as messaging

from services.runtime.config import ServerConfig
from services.runtime.env import EnvReader
from services.runtime.errors import DETAILS_KEY, reason_of
from services.runtime.grpc.channels import connect
from services.runtime.grpc.connect import PROTOCOL_KEY
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api, RpcServer
from services.runtime.identity.auth import UserTokens, current_user
from services.runtime.identity.jwks import JwksKeys
from services.runtime.limits.costs import COSTS, JSON_BYTES_READ_A_UNIT, JSON_BYTES_WRITTEN_A_UNIT
from tests.support.client_rpcs import client_rpcs
from tests.support.clock import ManualClock
from tests.support.identities import environment, tokens_of
from tests.support.waiting import PATIENCE_S, until

RPCS = client_rpcs()
UNARY = {rpc: method for rpc, method in RPCS.items() if not method.server_streaming}
# Calls that a user's budget is for where a test is of one RPC, whatever it costs: twice as many as a flood gets to work
# at once. In units where it is not.
FITS = 8
BURST = 400
KEY = Ed25519PrivateKey.generate()
CONNECTIONS = 8
INTERNAL = "parley.messaging.v1.MembershipService"
SYNC = "parley.messaging.v1.MessagingService/Sync"
# As the edge says it of a Connect client that speaks JSON.
JSON = "1 application/json"


class Server:
    """All services in one server. A call holds one of the connections, while `release` is not set."""

    def __init__(self, burst_units: float) -> None:
        self.clock = ManualClock()
        # Bytes in protobuf are written as they are.
        self.answer: Any = b""
        self.served: Counter[str] = Counter()
        self.holding: Counter[str] = Counter()
        self.looking: Counter[str] = Counter()
        self.may_look = asyncio.Event()
        self.may_look.set()
        self.release = asyncio.Event()
        self.release.set()
        self.connections = asyncio.Semaphore(CONNECTIONS)
        env = {
            "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
            **environment("messaging"),
            "PARLEY_JWKS_URL": "http://127.0.0.1:1/",
            "PARLEY_JWT_ISSUER": "issuer",
            "PARLEY_USER_UNITS_PER_S": "1",
            "PARLEY_USER_BURST_UNITS": str(burst_units),
            "PARLEY_USER_CALLS_WAITING": "1000",
        }
        key = {**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key())), "kid": "k1", "alg": "EdDSA"}

        async def keys() -> dict[str, Any]:
            return {"keys": [key]}

        tokens = UserTokens(JwksKeys(keys, self.clock), "issuer", "parley", self.clock)
        names = sorted({rpc.partition("/")[0] for rpc in RPCS})
        self.server = RpcServer(
            ServerConfig.read(EnvReader(env)),
            [Api(name, Access.USER, lambda server, name=name: self._add(server, name)) for name in names]
            + [Api(INTERNAL, Access.SERVICE, lambda server: self._add_internal(server))],
            {},
            tokens_of("messaging", self.clock),
            tokens,
            admit=self._admit,
            clock=self.clock,
        )

    async def _admit(self, service: str, user_id: str) -> None:
        """Asks a store, as messaging's admission of accounts does."""
        async with self.connections:
            self.looking[user_id] += 1
            await self.may_look.wait()
            self.looking[user_id] -= 1

    def _add(self, server: grpc.aio.Server, service: str) -> None:
        handlers: dict[str, Any] = {}
        for rpc, method in RPCS.items():
            if rpc.startswith(f"{service}/"):
                if method.server_streaming:
                    handlers[method.name] = grpc.unary_stream_rpc_method_handler(self._stream)
                else:
                    handlers[method.name] = grpc.unary_unary_rpc_method_handler(
                        self._unary, response_serializer=_bytes_of
                    )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))

    def _add_internal(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, Any] = {"GetMembers": grpc.unary_unary_rpc_method_handler(self._internal)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(INTERNAL, handlers),))

    async def _internal(self, request: bytes, context: Context) -> bytes:
        return b""

    async def _unary(self, request: bytes, context: Context) -> bytes:
        user = str(current_user())
        async with self.connections:
            self.holding[user] += 1
            await self.release.wait()
            self.holding[user] -= 1
        self.served[user] += 1
        return self.answer

    async def _stream(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        self.served[str(current_user())] += 1
        yield b""

    async def call(
        self, channel: grpc.aio.Channel, rpc: str, user: str, request: bytes = b"", protocol: str = ""
    ) -> grpc.aio.AioRpcError | None:
        """None when it was served. `protocol` is what the edge says of the client's."""
        now = int(self.clock.now().timestamp())
        claims = {"sub": user, "iss": "issuer", "aud": "parley", "iat": now, "exp": now + 3600}
        bearer = jwt.encode(claims, KEY, algorithm="EdDSA", headers={"kid": "k1"})
        metadata = [("authorization", f"Bearer {bearer}")]
        if protocol:
            metadata.append((PROTOCOL_KEY, protocol))
        try:
            if RPCS[rpc].server_streaming:
                async for _ in channel.unary_stream(f"/{rpc}")(request, metadata=metadata, timeout=PATIENCE_S):
                    pass
            else:
                await channel.unary_unary(f"/{rpc}")(request, metadata=metadata, timeout=PATIENCE_S)
        except grpc.aio.AioRpcError as error:
            return error
        return None


def _bytes_of(answer: Any) -> bytes:
    return answer if isinstance(answer, bytes) else bytes(answer.SerializeToString())


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """With a budget for `FITS` calls of the RPC that the test is for."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    server = Server(FITS * COSTS[parameters["rpc"]].units if "rpc" in parameters else BURST)
    await server.server.start()
    yield server
    server.release.set()
    server.may_look.set()
    await server.server.stop()


@pytest.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.server.port}") as channel:
        yield channel


def retry_delay_s(error: grpc.aio.AioRpcError) -> float:
    details = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(details[DETAILS_KEY])  # type: ignore[arg-type]  # it is a binary header
    info = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info.retry_delay.ToNanoseconds() / 1e9


@pytest.mark.parametrize("rpc", RPCS)
async def test_with_one_user_flooding_every_call_of_another_is_served(
    server: Server, channel: grpc.aio.Channel, rpc: str
) -> None:
    refused = None
    while refused is None:
        refused = await server.call(channel, rpc, "flooding")
        assert server.served["flooding"] <= FITS
    assert (refused.code(), reason_of(refused)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert server.served["flooding"] == FITS
    for _ in range(FITS):
        assert await server.call(channel, rpc, "flooding") is not None
        assert await server.call(channel, rpc, "honest") is None
    assert server.served["honest"] == FITS
    server.clock.advance(retry_delay_s(refused))
    assert await server.call(channel, rpc, "flooding") is None


@pytest.mark.parametrize("rpc", [rpc for rpc in UNARY if COSTS[rpc].waits])
async def test_slow_calls_of_one_user_leave_connections_to_the_others(
    server: Server, channel: grpc.aio.Channel, rpc: str
) -> None:
    server.release.clear()
    calls = [asyncio.create_task(server.call(channel, rpc, "flooding")) for _ in range(FITS)]
    expected = CONNECTIONS // 2
    await until(lambda: server.holding["flooding"] == expected, what="the flood at work")
    others = [asyncio.create_task(server.call(channel, rpc, f"honest-{number}")) for number in range(4)]
    await until(lambda: all(server.holding[f"honest-{n}"] == 1 for n in range(4)), what="all others at work")
    assert server.holding["flooding"] == expected
    server.release.set()
    assert [error for error in await asyncio.gather(*calls, *others) if error] == []


@pytest.mark.parametrize("rpc", RPCS)
async def test_slow_looks_for_whether_a_user_may_call_leave_connections_to_the_others(
    server: Server, channel: grpc.aio.Channel, rpc: str
) -> None:
    server.may_look.clear()
    calls = [asyncio.create_task(server.call(channel, rpc, "flooding")) for _ in range(FITS)]
    await until(lambda: server.looking["flooding"] == 2, what="the flood at work")
    others = [asyncio.create_task(server.call(channel, rpc, f"honest-{number}")) for number in range(6)]
    await until(lambda: all(server.looking[f"honest-{n}"] == 1 for n in range(6)), what="all others at work")
    server.may_look.set()
    assert [error for error in await asyncio.gather(*calls, *others) if error] == []


@pytest.mark.parametrize("rpc", RPCS)
async def test_a_flood_in_json_is_served_no_more_than_one_in_protobuf(
    server: Server, channel: grpc.aio.Channel, rpc: str
) -> None:
    refused = None
    while refused is None:
        refused = await server.call(channel, rpc, "flooding", b"{}", JSON)
        assert server.served["flooding"] <= FITS
    assert (refused.code(), _reason_in_connects_words(refused)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    # And whoever has nothing left in one has nothing in the other.
    assert await server.call(channel, rpc, "flooding") is not None


@pytest.mark.parametrize(
    "request_", [b'{"cursors": [' + b"{}, " * 20_000 + b"{}]}", b"[" * 100_000], ids=["good", "bad"]
)
async def test_json_is_paid_by_its_size_before_it_is_read(
    server: Server, channel: grpc.aio.Channel, request_: bytes
) -> None:
    fits = BURST // (len(request_) // JSON_BYTES_READ_A_UNIT)
    codes = [
        error.code() if (error := await server.call(channel, SYNC, "flooding", request_, JSON)) else grpc.StatusCode.OK
        for _ in range(3 * fits)
    ]
    assert 0 < codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 2 * fits
    assert server.served["flooding"] <= fits
    assert await server.call(channel, SYNC, "honest") is None


async def test_a_large_answer_in_json_is_paid_by_the_calls_that_follow(
    server: Server, channel: grpc.aio.Channel
) -> None:
    server.answer = messaging.SyncResponse(sync_token="x" * 2**20)
    assert await server.call(channel, SYNC, "reading", b"{}", JSON) is None
    paid = 2**20 / JSON_BYTES_WRITTEN_A_UNIT
    left = sum([await server.call(channel, SYNC, "reading") is None for _ in range(BURST)])
    assert left <= (BURST - paid) / COSTS[SYNC].units


def _reason_in_connects_words(error: grpc.aio.AioRpcError) -> str:
    details = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(details[DETAILS_KEY])  # type: ignore[arg-type]  # it is a binary header
    (info,) = [detail.value for detail in status.details if detail.type_url == "google.rpc.ErrorInfo"]
    return str(error_details_pb2.ErrorInfo.FromString(info).reason)


async def test_what_cannot_be_decoded_costs_too_and_never_reaches_a_handler(server: Server) -> None:
    assert all(cost.of(object()) == cost.units for cost in COSTS.values() if not cost.field)
    assert all(cost.of(None) == cost.units for cost in COSTS.values() if not cost.field)
    assert all(cost.of(object()) == cost.units for cost in COSTS.values())


async def test_a_service_is_not_limited_as_a_user(server: Server) -> None:
    async with connect(f"127.0.0.1:{server.server.port}", tokens_of("gateway", server.clock)) as channel:
        call = channel.unary_unary(f"/{INTERNAL}/GetMembers")
        for _ in range(BURST + 1):
            await call(b"", timeout=PATIENCE_S)
