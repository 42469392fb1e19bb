"""Mutual TLS over real connections: whom our clients speak to, whom our servers let in, and files that are renewed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from deploy.certificates import Authority, environment
from services.runtime.config import ServerConfig, TlsConfig
from services.runtime.env import EnvReader
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import connect
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import LIVENESS, READINESS, Api, RpcServer
from services.runtime.grpc.tls import Peer
from tests.support.identities import environment as identity_env
from tests.support.identities import tokens_of
from tests.support.mounted import MountedSecret
from tests.support.rotation import load
from tests.support.tls import HOST, overheard
from tests.support.waiting import PATIENCE_S

SERVICE = "parley.messaging.v1.MembershipService"
Status = health_pb2.HealthCheckResponse.ServingStatus
TOKENS = tokens_of("gateway")


class Servicer(service_pb2_grpc.MembershipServiceServicer):
    async def GetMembers(self, _: api.GetMembersRequest, context: Context) -> api.GetMembersResponse:
        return api.GetMembersResponse(user_ids=["alice"])


@asynccontextmanager
async def serving(tls: TlsConfig) -> AsyncIterator[RpcServer]:
    """A messaging with these files."""
    env = {"PARLEY_GRPC_ADDRESS": f"{HOST}:0", "PARLEY_HEALTH_ADDRESS": f"{HOST}:0", **identity_env("messaging")}
    config = ServerConfig.read(EnvReader({**env, **environment(tls)}), public=False)
    add = service_pb2_grpc.add_MembershipServiceServicer_to_server
    apis = [Api(SERVICE, Access.SERVICE, lambda server: add(Servicer(), server))]
    server = RpcServer(config, apis, {}, tokens_of("messaging"))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def members(channel: grpc.aio.Channel) -> None:
    stub = service_pb2_grpc.MembershipServiceStub(channel)
    assert (await stub.GetMembers(api.GetMembersRequest(), timeout=PATIENCE_S)).user_ids == ["alice"]


async def refusal(channel: grpc.aio.Channel) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await members(channel)
    return refused.value


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[RpcServer]:
    async with serving(authority.issue_to("messaging")) as server:
        yield server


async def test_a_caller_needs_both_a_certificate_and_a_token(server: RpcServer, authority: Authority) -> None:
    address, peer = f"{HOST}:{server.port}", Peer.of(authority.issue_to("gateway"), "messaging")
    async with connect(address, TOKENS, peer) as channel:
        await members(channel)
    async with connect(address, None, peer) as channel:
        assert (await refusal(channel)).code() is grpc.StatusCode.UNAUTHENTICATED
    async with connect(address, tokens_of("messaging"), peer) as channel:
        assert reason_of(await refusal(channel)) == "CALLER_NOT_ALLOWED"


async def test_one_channel_spreads_over_all_replicas_and_checks_each(authority: Authority, tmp_path: Path) -> None:
    tls, foreign = authority.issue_to("messaging"), Authority(tmp_path / "theirs").issue_to("messaging")
    peer = Peer.of(authority.issue_to("gateway"), "messaging")
    async with serving(tls) as one, serving(tls) as other, serving(foreign) as strange:
        addresses = ",".join(f"{HOST}:{replica.port}" for replica in (one, strange, other))
        async with connect(addresses, TOKENS, peer) as channel:
            for _ in range(6):
                await members(channel)


def impostor(credentials: grpc.ServerCredentials | None) -> AbstractAsyncContextManager[tuple[str, list[str]]]:
    """Whoever listens where a service should, and which calls reached it."""
    return overheard(credentials, partial(service_pb2_grpc.add_MembershipServiceServicer_to_server, Servicer()))


def showing(tls: TlsConfig) -> grpc.ServerCredentials:
    """A server that shows a certificate and takes anybody."""
    return grpc.ssl_server_credentials([(Path(tls.key_file).read_bytes(), Path(tls.certificate_file).read_bytes())])


IMPOSTORS: dict[str, Callable[[Authority, Path], grpc.ServerCredentials | None]] = {
    "clear text": lambda _ours, _folder: None,
    # Which has the name of ours.
    "another authority": lambda _ours, folder: showing(Authority(folder).issue_to("messaging")),
    "another service": lambda ours, _folder: showing(ours.issue_to("presence")),
    "a longer name": lambda ours, _folder: showing(ours.issue_to("messaging.example.com")),
    "an expired certificate": lambda ours, _folder: showing(ours.issue_to("messaging", life=-timedelta(minutes=1))),
}


@pytest.mark.parametrize("kind", IMPOSTORS)
async def test_a_server_that_is_not_the_one_meant_hears_nothing_of_us(
    kind: str, authority: Authority, tmp_path: Path
) -> None:
    peer = Peer.of(authority.issue_to("gateway"), "messaging")
    async with impostor(IMPOSTORS[kind](authority, tmp_path / "theirs")) as (address, heard):
        async with connect(address, TOKENS, peer, fresh=True) as channel:
            assert (await refusal(channel)).code() is grpc.StatusCode.UNAVAILABLE
        assert heard == []


async def test_a_server_of_the_right_name_is_heard_by_the_same_client(authority: Authority) -> None:
    """Else the refusals above would say nothing."""
    peer = Peer.of(authority.issue_to("gateway"), "messaging")
    async with impostor(showing(authority.issue_to("messaging"))) as (address, heard):
        async with connect(address, TOKENS, peer, fresh=True) as channel:
            await members(channel)
        assert len(heard) == 1


async def test_health_is_told_in_clear_text_at_a_port_of_its_own_and_nothing_else(server: RpcServer) -> None:
    async with grpc.aio.insecure_channel(f"{HOST}:{server.health_port}") as channel:
        told = health_pb2_grpc.HealthStub(channel)

        async def status(name: str) -> int:
            answer = await told.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE_S)
            return int(answer.status)

        assert await status(LIVENESS) == Status.SERVING
        assert await status(READINESS) == Status.NOT_SERVING
        await server.set_ready(True)
        assert await status(READINESS) == Status.SERVING
        assert (await refusal(channel)).code() is grpc.StatusCode.UNIMPLEMENTED
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        asked = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]))
        assert await asked.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_without_tls_there_is_no_second_port() -> None:
    async with serving(TlsConfig()) as server:
        assert server.health_port == 0


class Party:
    """A service's mounted Secret, which follows an authority's renewals."""

    def __init__(self, folder: Path, service: str, tls: TlsConfig) -> None:
        self._service = service
        self._bundle = folder / f"{service}-bundle.pem"
        self._tls = tls
        self.secret = MountedSecret(folder / f"mounted-{service}", self._files(tls.ca_file))
        self.tls = TlsConfig.in_folder(self.secret.folder)

    def _files(self, ca: Path | str) -> dict[str, Path]:
        return {"tls.crt": Path(self._tls.certificate_file), "tls.key": Path(self._tls.key_file), "ca.crt": Path(ca)}

    def believe(self, *authorities: Authority) -> None:
        self._bundle.write_bytes(b"".join(authority.ca.read_bytes() for authority in authorities))
        self.secret.replace(self._files(self._bundle))

    def take_certificate_of(self, authority: Authority) -> None:
        self._tls = authority.issue_to(self._service)
        self.secret.replace(self._files(self._bundle))

    def mix_up(self, authority: Authority) -> None:
        other = authority.issue_to("somebody")
        self.secret.replace({**self._files(self._bundle), "tls.key": Path(other.key_file)})


async def test_certificates_and_authority_are_renewed_under_load_without_a_refused_call(
    authority: Authority, tmp_path: Path
) -> None:
    new = Authority(tmp_path / "new")
    messaging = Party(tmp_path, "messaging", authority.issue_to("messaging"))
    gateway = Party(tmp_path, "gateway", authority.issue_to("gateway"))
    left_behind = Peer.of(authority.issue_to("left-behind"), "messaging")
    async with serving(messaging.tls) as server, AsyncExitStack() as cleanup:
        address, peer = f"{HOST}:{server.port}", Peer.of(gateway.tls, "messaging")
        kept = await cleanup.enter_async_context(connect(address, TOKENS, peer))
        watch = health_pb2_grpc.HealthStub(kept).Watch(health_pb2.HealthCheckRequest(service=READINESS))
        assert (await watch.read()).status == Status.NOT_SERVING

        async def ask() -> None:
            await members(kept)
            async with connect(address, TOKENS, peer, fresh=True) as fresh:
                await members(fresh)

        async with load(ask) as calls:
            for party in (messaging, gateway):
                party.believe(authority, new)
                await calls.goes_on("both authorities")
            for party in (gateway, messaging):
                party.take_certificate_of(new)
                await calls.goes_on("a certificate of the new one")
            for party in (messaging, gateway):
                party.believe(new)
                await calls.goes_on("the new authority alone")
            for party in (messaging, gateway):
                party.mix_up(new)
                await calls.goes_on("a key of another certificate")
        async with connect(address, TOKENS, left_behind, fresh=True) as channel:
            assert (await refusal(channel)).code() is grpc.StatusCode.UNAVAILABLE
        # What was open through all of it is open still, and is told of what happens.
        await server.set_ready(True)
        assert (await watch.read()).status == Status.SERVING


async def test_a_channel_that_is_closed_ends_the_calls_of_all_that_it_was(
    server: RpcServer, authority: Authority, tmp_path: Path
) -> None:
    gateway = Party(tmp_path, "gateway", authority.issue_to("gateway"))
    channel = connect(f"{HOST}:{server.port}", TOKENS, Peer.of(gateway.tls, "messaging"))
    watches = []
    for _ in range(3):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=READINESS))
        await watch.read()
        watches.append(watch)
        gateway.believe(authority)
        gateway.take_certificate_of(authority)
    await channel.close()
    assert all(watch.done() for watch in watches)
    gateway.take_certificate_of(authority)
    with pytest.raises(grpc.aio.UsageError):
        await members(channel)
