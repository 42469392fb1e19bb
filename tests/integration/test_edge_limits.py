"""Envoy as the template has it, with small buckets: what one address or one user takes costs no other anything.

Behind it are replicas that answer every call with what they were told of the caller. Its limits are counted: buckets of
ten that get one token a second would need a test of minutes to fill again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import Any

import grpc
import jwt
import pytest
from aiohttp import ClientError, ClientSession, web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from deploy.embedded.envoy import spec
from deploy.embedded.ports import Ports
from deploy.envoy.values import EdgeValues
from tests.support.waiting import PATIENCE_S, eventually

KEY = Ed25519PrivateKey.generate()
BURST = 10
CALL = "/parley.messaging.v1.MessagingService/Sync"
CALLS = [
    CALL,
    "/parley.messaging.v1.RelationsService/GetSettings",
    "/parley.messaging.v1.AttachmentsService/CreateUpload",
    "/parley.messaging.v1.ScheduledMessagesService/ListScheduledMessages",
    "/parley.messaging.v1.AccountService/GetJob",
    "/parley.presence.v1.PresenceService/WatchPresence",
    "/parley.gateway.v1.GatewayService/Subscribe",
    "/parley.calls.v1.CallsService/JoinMedia",
]
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


class Echo(grpc.GenericRpcHandler):
    """A replica that is ready and answers with its own name and the metadata of the call."""

    def __init__(self, name: str) -> None:
        self._name = name

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if str(details.method).startswith("/grpc.health."):
            return grpc.unary_unary_rpc_method_handler(self._healthy)
        return grpc.unary_unary_rpc_method_handler(self._echo)

    async def _healthy(self, request: bytes, context: object) -> bytes:
        return b"\x08\x01"

    async def _echo(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        metadata = [(key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str)]
        told = json.dumps([("replica", self._name), *metadata])
        # In a field that no answer of ours has, so that the edge takes it for any of them.
        return FileDescriptorProto(syntax=told).SerializeToString()


@dataclass
class Edge:
    """A running Envoy."""

    channel: grpc.aio.Channel
    url: str

    async def call(
        self, method: str = CALL, user: str | None = "alice", address: str = "", *said: tuple[str, str]
    ) -> tuple[grpc.StatusCode, list[tuple[str, str]]]:
        """The status, and what the replica was told. `address` is what the proxy in front says; `said` the client."""
        metadata = list(said)
        if user is not None:
            metadata.append(("authorization", f"Bearer {token(user)}"))
        if address:
            metadata.append(("x-forwarded-for", address))
        try:
            answer = await self.channel.unary_unary(method)(b"", metadata=metadata, timeout=PATIENCE_S)
        except grpc.aio.AioRpcError as error:
            return error.code(), []
        told = FileDescriptorProto.FromString(answer).syntax
        return grpc.StatusCode.OK, [(key, value) for key, value in json.loads(told)]

    async def flood(self, count: int, *arguments: Any) -> list[grpc.StatusCode]:
        return [(await self.call(*arguments))[0] for _ in range(count)]


def token(user: str) -> str:
    claims = {"sub": user, "iss": "issuer", "aud": "parley", "exp": int(time()) + 3600}
    return jwt.encode(claims, KEY, algorithm="EdDSA", headers={"kid": "k1"})


@asynccontextmanager
async def issuer() -> AsyncIterator[str]:
    key = {**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key())), "kid": "k1", "alg": "EdDSA"}

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"keys": [key]})

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def replica(name: str) -> AsyncIterator[str]:
    server = grpc.aio.server(handlers=[Echo(name)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def running_edge(folder: Path, **changes: Any) -> AsyncIterator[Edge]:
    """Envoy with three replicas of each service."""
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(issuer())
        replicas = [await stack.enter_async_context(replica(str(number))) for number in range(3)]
        ports = Ports({})
        host, port, admin_port = "127.0.0.1", ports.tcp("edge"), ports.tcp("admin")
        every = ",".join(replicas)
        values = replace(
            EdgeValues(every, every, every, at, f"http://{at}/jwks.json", "issuer", listen_host=host, listen_port=port),
            admin_port=admin_port,
            health_interval_s=1,
            **changes,
        )
        process = spec(values, folder)
        with (folder / "edge.log").open("wb") as log:
            envoy = await asyncio.create_subprocess_exec(*process.command, stdout=log, stderr=log)
        try:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"{host}:{port}"))
            await _ready(f"http://{host}:{admin_port}")
            # Its replicas are healthy before it has the issuer's keys, and only then does it listen.
            await eventually(process.ready, what="the edge listens")
            yield Edge(channel, f"http://{host}:{port}")
        finally:
            envoy.terminate()
            await envoy.wait()


async def _ready(admin: str) -> None:
    """Every replica of every service is in the ring."""

    async def healthy() -> bool:
        async with ClientSession() as session:
            try:
                async with session.get(f"{admin}/clusters?format=json") as answer:
                    clusters = (await answer.json(content_type=None))["cluster_statuses"]
            except (ClientError, ValueError):
                return False
        replicas = {
            cluster["name"]: [host["health_status"] for host in cluster.get("host_statuses", [])]
            for cluster in clusters
            if cluster["name"] in ("gateway", "messaging", "signaling")
        }
        ready = [{"eds_health_status": "HEALTHY"}] * 3
        return len(replicas) == 3 and all(found == ready for found in replicas.values())

    await eventually(healthy)


LARGE = {"rate_limit_burst": 1_000_000, "user_rate_burst": 1_000_000, "address_rate_burst": 1_000_000}


@pytest.mark.parametrize("method", CALLS)
async def test_a_user_who_floods_takes_nothing_from_the_others(tmp_path: Path, method: str) -> None:
    small = {"user_rate_burst": BURST, "user_rate_per_s": 1, "rate_limit_burst": 10 * BURST, "rate_limit_per_s": 1}
    async with running_edge(tmp_path, **{**LARGE, **small}) as edge:
        told = await edge.flood(30 * BURST, method, "flooding")
        assert told[:BURST] == [grpc.StatusCode.OK] * BURST
        assert told.count(EXHAUSTED) > 20 * BURST
        for user in ("bob", "carol", "dora"):
            assert await edge.flood(BURST, method, user) == [grpc.StatusCode.OK] * BURST


@pytest.mark.parametrize("bearer", [None, "flooding"])
async def test_an_address_that_floods_takes_nothing_from_the_others(tmp_path: Path, bearer: str | None) -> None:
    """Also without a token: it is asked before the token is."""
    small = {"address_rate_burst": BURST, "address_rate_per_s": 1, "rate_limit_burst": 10 * BURST}
    async with running_edge(tmp_path, trusted_proxies=1, **{**LARGE, **small}) as edge:
        told = await edge.flood(20 * BURST, CALL, bearer, "203.0.113.7")
        assert told.count(EXHAUSTED) > 15 * BURST
        assert EXHAUSTED not in told[:BURST]
        for address in ("203.0.113.8", "2001:db8:1:1::7"):
            assert await edge.flood(BURST, CALL, "bob", address) == [grpc.StatusCode.OK] * BURST


async def test_all_addresses_of_one_customer_have_one_bucket(tmp_path: Path) -> None:
    small = {"address_rate_burst": BURST, "address_rate_per_s": 1}
    async with running_edge(tmp_path, trusted_proxies=1, **{**LARGE, **small}) as edge:
        told = [(await edge.call(CALL, "alice", f"2001:db8:1:1:{number:x}::1"))[0] for number in range(10 * BURST)]
        assert told.count(EXHAUSTED) > 5 * BURST
        assert await edge.flood(BURST, CALL, "alice", "2001:db8:1:2::1") == [grpc.StatusCode.OK] * BURST


@pytest.mark.parametrize("trusted_proxies", [0, 1])
@pytest.mark.parametrize("header", ["x-forwarded-for", "x-parley-address", "x-envoy-external-address", "x-real-ip"])
async def test_no_client_chooses_its_address(tmp_path: Path, header: str, trusted_proxies: int) -> None:
    """With a proxy in front, what the client says stands before what the proxy adds."""
    small = {"address_rate_burst": BURST, "address_rate_per_s": 1}
    async with running_edge(tmp_path, trusted_proxies=trusted_proxies, **{**LARGE, **small}) as edge:
        seen, told = set(), []
        for number in range(10 * BURST):
            lie = f"198.51.100.{number}"
            proxy = ""
            if trusted_proxies:
                proxy = f"{lie}, 203.0.113.7" if header == "x-forwarded-for" else "203.0.113.7"
            said = () if proxy and header == "x-forwarded-for" else ((header, lie),)
            status, metadata = await edge.call(CALL, "alice", proxy, *said)
            told.append(status)
            seen.update(value for key, value in metadata if key == "x-parley-address")
        assert told.count(EXHAUSTED) > 5 * BURST
        assert seen == {"203.0.113.7" if trusted_proxies else "127.0.0.1"}


@pytest.mark.parametrize("said", [["mallory"], ["alice"], ["mallory", "eve"], [""]])
async def test_no_client_chooses_its_user(tmp_path: Path, said: list[str]) -> None:
    small = {"user_rate_burst": BURST, "user_rate_per_s": 1}
    async with running_edge(tmp_path, **{**LARGE, **small}) as edge:
        users = set()
        told = []
        for number in range(10 * BURST):
            names = [("x-parley-user", f"{name}{number}" if name else "") for name in said]
            status, metadata = await edge.call(CALL, "alice", "", *names)
            told.append(status)
            users.update(value for key, value in metadata if key == "x-parley-user")
        assert told.count(EXHAUSTED) > 5 * BURST
        assert users == {"alice"}
        assert await edge.flood(BURST, CALL, "mallory") == [grpc.StatusCode.OK] * BURST


@pytest.mark.parametrize("method", CALLS)
async def test_all_calls_of_a_user_go_to_one_replica_and_those_of_all_users_to_all(tmp_path: Path, method: str) -> None:
    async with running_edge(tmp_path, **LARGE) as edge:
        users = [f"user-{number}" for number in range(40)]

        async def homes() -> list[str]:
            return [dict((await edge.call(method, user))[1]).get("replica", "") for user in users]

        async def is_whole() -> bool:
            return set(await homes()) == {"0", "1", "2"}

        # Envoy takes up to a second to tell all its threads of a replica that has become healthy (update_merge_window).
        await eventually(is_whole, what="the ring of three")
        first = await homes()
        assert [await homes() for _ in range(3)] == [first] * 3


async def test_pages_are_limited_by_address_and_what_they_say_of_users_is_not_heard(tmp_path: Path) -> None:
    small = {"address_rate_burst": BURST, "address_rate_per_s": 1}
    async with running_edge(tmp_path, **{**LARGE, **small}) as edge, ClientSession() as session:
        told = []
        for number in range(5 * BURST):
            async with session.get(f"{edge.url}/", headers={"x-parley-user": f"user-{number}"}) as answer:
                told.append(answer.status)
        assert told[:BURST] == [200] * BURST
        assert told[-1] == 429
