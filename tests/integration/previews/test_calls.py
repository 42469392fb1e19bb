"""Through a real server: the work for a call ends with the call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from parley.previews.v1 import previews_pb2 as api
from parley.previews.v1.previews_pb2_grpc import PreviewsServiceStub

from services.previews import rpc
from services.previews.clients.web import AiohttpWeb
from services.previews.fetching import Fetcher
from services.previews.service import Previews
from services.runtime.config import ServerConfig
from services.runtime.env import EnvReader
from services.runtime.grpc.server import RpcServer
from services.runtime.identity.auth import UserTokens
from services.runtime.identity.jwks import JwksKeys
from tests.integration.previews.conftest import Town
from tests.support.clock import ManualClock
from tests.support.identities import environment, tokens_of
from tests.support.waiting import PATIENCE_S, until

KEY = Ed25519PrivateKey.generate()
# Far longer than any test waits.
FETCH_S = 2 * PATIENCE_S


class Service:
    """Previews of a town as they are served, and a client of theirs."""

    def __init__(self, town: Town) -> None:
        self.clock = ManualClock()
        fetcher = Fetcher(town.names, AiohttpWeb("ParleyLinkPreviews/1.0", FETCH_S), town.reach, FETCH_S)
        self.previews = Previews(fetcher, town.reach, self.clock, is_on=True, parallel=64)
        env = {
            "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
            **environment("previews"),
            "PARLEY_JWKS_URL": "http://127.0.0.1:1/",
            "PARLEY_JWT_ISSUER": "issuer",
        }
        key = {**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key())), "kid": "k1", "alg": "EdDSA"}

        async def keys() -> dict[str, Any]:
            return {"keys": [key]}

        self.server = RpcServer(
            ServerConfig.read(EnvReader(env)),
            rpc.apis(self.previews),
            rpc.ERRORS,
            tokens_of("previews", self.clock),
            UserTokens(JwksKeys(keys, self.clock), "issuer", "parley", self.clock),
            clock=self.clock,
        )

    def get(self, channel: grpc.aio.Channel, user: str, url: str, timeout_s: float) -> Any:
        """A call of a user, under way."""
        now = int(self.clock.now().timestamp())
        claims = {"sub": user, "iss": "issuer", "aud": "parley", "iat": now, "exp": now + 3600}
        bearer = jwt.encode(claims, KEY, algorithm="EdDSA", headers={"kid": "k1"})
        metadata = [("authorization", f"Bearer {bearer}")]
        stub: Any = PreviewsServiceStub(channel)
        return stub.GetLinkPreview(api.GetLinkPreviewRequest(url=url), metadata=metadata, timeout=timeout_s)


@pytest.fixture
async def service(town: Town) -> AsyncIterator[Service]:
    service = Service(town)
    await service.server.start()
    yield service
    await service.server.stop()
    await service.previews.stop()


async def test_a_page_is_found_for_who_calls(town: Town, service: Service) -> None:
    town.host.page("/")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.server.port}") as channel:
        answer = await service.get(channel, "alice", town.url("/"), PATIENCE_S)
    assert answer == api.GetLinkPreviewResponse(url=town.url("/"), title="Found")


async def test_the_work_ends_with_the_time_of_the_call(town: Town, service: Service) -> None:
    town.host.sends_for_ever("/", b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n", b" ", 0.02)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await service.get(channel, "alice", town.url("/"), 0.5)
        assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: town.host.at_once == 0 and not service.previews._running)


async def test_a_user_who_asks_and_gives_up_again_and_again_holds_up_nobody(town: Town, service: Service) -> None:
    town.host.page("/")
    town.host.sends_for_ever("/slow", b"", b"", 0.02)
    for number in range(30):
        town.names.addresses[f"slow{number}.example"] = [["127.0.0.1"]]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.server.port}") as channel:
        for number in range(30):
            call = service.get(channel, "alice", town.url("/slow", f"slow{number}.example"), PATIENCE_S)
            await until(lambda number=number: f"slow{number}.example" in town.names.asked)  # type: ignore[misc]
            call.cancel()
        await until(lambda: not service.previews._running)
        answer = await service.get(channel, "bob", town.url("/"), PATIENCE_S)
    assert answer.title == "Found"
