"""The server over a real connection: who is let in, how errors look, health, deadlines, the drain."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from parley.messaging.v1 import service_pb2 as api
from parley.messaging.v1 import service_pb2_grpc

from deploy import identities
from services.runtime.config import ServerConfig
from services.runtime.env import EnvReader
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import connect
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api, RpcServer
from tests.support.identities import environment as identity_env
from tests.support.identities import tokens_of
from tests.support.waiting import PATIENCE_S

SERVICE = "parley.messaging.v1.MembershipService"
TOKENS = tokens_of("gateway")


class Servicer(service_pb2_grpc.MembershipServiceServicer):
    """Behaves as the conversation id says."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.release = asyncio.Event()

    async def GetMembers(self, request: api.GetMembersRequest, context: Context) -> api.GetMembersResponse:
        if request.conversation_id == "bug":
            raise KeyError("secret detail")
        if request.conversation_id == "broken off":
            waited_for: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waited_for.cancel()
            await waited_for
        if request.conversation_id == "slow":
            self.entered.set()
            await self.release.wait()
        return api.GetMembersResponse(user_ids=["alice"])


class Running:
    """A server, its servicer and a channel with a service token."""

    def __init__(
        self, default_deadline_s: str = "5", on_drain: Callable[[], None] | None = None, grace_s: str = "5"
    ) -> None:
        env = {
            "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
            **identity_env("messaging"),
            "PARLEY_DEFAULT_DEADLINE_S": default_deadline_s,
            "PARLEY_DRAIN_GRACE_S": grace_s,
        }
        self.servicer = Servicer()
        config = ServerConfig.read(EnvReader(env), public=False)
        add = service_pb2_grpc.add_MembershipServiceServicer_to_server
        apis = [Api(SERVICE, Access.SERVICE, lambda server: add(self.servicer, server))]
        self.server = RpcServer(config, apis, {}, TOKENS, on_drain=on_drain)

    async def start(self) -> None:
        await self.server.start()
        self.address = f"127.0.0.1:{self.server.port}"
        self.channel = connect(self.address, TOKENS)
        self.stub = service_pb2_grpc.MembershipServiceStub(self.channel)

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.stop()


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    await running.start()
    yield running
    await running.stop()


async def failure(call: "grpc.aio.UnaryUnaryCall[object, object]") -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_service_with_the_key_is_let_in(running: Running) -> None:
    assert (await running.stub.GetMembers(api.GetMembersRequest(), timeout=PATIENCE_S)).user_ids == ["alice"]


async def test_a_caller_without_a_token_or_with_a_foreign_one_is_not(running: Running, tmp_path: Path) -> None:
    identities.write(tmp_path, identities.key_sets())
    async with grpc.aio.insecure_channel(running.address) as channel:
        stub = service_pb2_grpc.MembershipServiceStub(channel)
        missing = await failure(stub.GetMembers(api.GetMembersRequest(), timeout=PATIENCE_S))
    async with connect(running.address, tokens_of("gateway", folder=tmp_path)) as channel:
        stub = service_pb2_grpc.MembershipServiceStub(channel)
        foreign = await failure(stub.GetMembers(api.GetMembersRequest(), timeout=PATIENCE_S))
    assert {missing.code(), foreign.code()} == {grpc.StatusCode.UNAUTHENTICATED}
    assert (reason_of(missing), reason_of(foreign)) == ("TOKEN_MISSING", "TOKEN_INVALID")


async def test_a_bug_is_internal_and_tells_nothing(running: Running) -> None:
    error = await failure(running.stub.GetMembers(api.GetMembersRequest(conversation_id="bug"), timeout=PATIENCE_S))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (error.details() or "")


@pytest.mark.parametrize("data", [b"\x0a\x02\xff\xff", b"\xff", b"\x0a\x7f", b"\x0a\x03\xed\xa0\x80"])
async def test_bytes_that_are_no_request_are_an_invalid_argument(running: Running, data: bytes) -> None:
    call = running.channel.unary_unary(f"/{SERVICE}/GetMembers")
    assert (await failure(call(data, timeout=PATIENCE_S))).code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_caller_without_a_deadline_gets_the_default_one() -> None:
    running = Running(default_deadline_s="0.2")
    await running.start()
    error = await failure(running.stub.GetMembers(api.GetMembersRequest(conversation_id="slow")))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await running.stop()


async def test_readiness_follows_the_dependencies_and_liveness_does_not(running: Running) -> None:
    health = health_pb2_grpc.HealthStub(running.channel)

    async def status(service: str) -> int:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)
        return int(answer.status)

    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert [await status(name) for name in ("", "liveness", "readiness", SERVICE)] == [
        serving,
        serving,
        not_serving,
        not_serving,
    ]
    await running.server.set_ready(True)
    assert [await status(name) for name in ("readiness", SERVICE)] == [serving, serving]


async def test_reflection_lists_the_services(running: Running) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    answer = await call.read()
    assert SERVICE in {service.name for service in answer.list_services_response.service}


async def test_a_drain_lets_a_running_call_end() -> None:
    running = Running()
    await running.start()
    call = running.stub.GetMembers(api.GetMembersRequest(conversation_id="slow"), timeout=PATIENCE_S)
    answer = asyncio.ensure_future(call)
    await running.servicer.entered.wait()
    stopping = asyncio.create_task(running.server.stop())
    await asyncio.sleep(0)
    running.servicer.release.set()
    assert (await answer).user_ids == ["alice"]
    await stopping
    await running.channel.close()


async def test_a_call_whose_work_was_broken_off_is_told_to_come_again(running: Running) -> None:
    error = await failure(running.stub.GetMembers(api.GetMembersRequest(conversation_id="broken off"), timeout=60))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


async def test_a_call_that_outlasts_the_drain_is_told_to_come_again() -> None:
    running = Running(default_deadline_s="60", grace_s="1")
    await running.start()
    call = running.stub.GetMembers(api.GetMembersRequest(conversation_id="slow"), timeout=60)
    await running.servicer.entered.wait()
    stopping = asyncio.create_task(running.server.stop())
    error = await failure(call)
    # What grpc itself would say is CANCELLED, as if the caller had given it up.
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    await stopping
    await running.channel.close()


async def test_a_drain_that_fails_ends_the_server_too() -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    running = Running(on_drain=fail)
    await running.start()
    with pytest.raises(RuntimeError, match="a bug"):
        await running.server.stop()
    error = await failure(running.stub.GetMembers(api.GetMembersRequest(), timeout=PATIENCE_S))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    await running.channel.close()
