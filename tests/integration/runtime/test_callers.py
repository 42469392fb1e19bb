"""The table of callers against a real server: each pair of caller and method, from the descriptors of all protos."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from services.runtime.config import ServerConfig
from services.runtime.env import EnvReader
from services.runtime.errors import reason_of
from services.runtime.grpc.guard import Access
from services.runtime.grpc.server import Api, RpcServer
from services.runtime.identity import callers
from tests.support.client_rpcs import services_in
from tests.support.identities import environment, tokens_of
from tests.support.waiting import PATIENCE_S

SERVICES = services_in(callers.CALLERS)
METHODS = [method for service, _ in SERVICES.values() for method in service.methods]


def api_of(service: ServiceDescriptor, module: Any) -> Api:
    servicer = getattr(module, f"{service.name}Servicer")()
    add = getattr(module, f"add_{service.name}Servicer_to_server")
    return Api(service.full_name, Access.SERVICE, lambda server: add(servicer, server))


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[str]:
    env = {"PARLEY_GRPC_ADDRESS": "127.0.0.1:0", "PARLEY_DRAIN_GRACE_S": "0", **environment("messaging")}
    config = ServerConfig.read(EnvReader(env), public=False)
    server = RpcServer(config, [api_of(*each) for each in SERVICES.values()], {}, tokens_of("messaging"))
    await server.start()
    yield f"127.0.0.1:{server.port}"
    await server.stop()


def test_each_row_of_the_table_is_a_service_of_the_protos() -> None:
    assert set(SERVICES) == set(callers.CALLERS)


async def refusal(address: str, method: MethodDescriptor, caller: str) -> tuple[grpc.StatusCode, str]:
    """How a call ends; nobody implements anything here."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    token = tokens_of(caller).token(method.containing_service.full_name)
    metadata = (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            if method.client_streaming:
                await channel.stream_stream(path)(timeout=PATIENCE_S, metadata=metadata).read()
            else:
                await channel.unary_unary(path)(b"", timeout=PATIENCE_S, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return error.code(), reason_of(error)
    return grpc.StatusCode.OK, ""


@pytest.mark.parametrize("caller", callers.IDENTITIES)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_a_caller_gets_in_where_the_table_has_it_and_nowhere_else(
    address: str, method: MethodDescriptor, caller: str
) -> None:
    code, reason = await refusal(address, method, caller)
    denied = (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    is_in_table = callers.may_call(caller, method.containing_service.full_name, method.name)
    assert ((code, reason) != denied) == is_in_table


def test_a_method_without_a_row_stops_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "parley.sfu.v1.SfuService"
    rows = {method: who for method, who in callers.CALLERS[name].items() if method != "Join"}
    monkeypatch.setattr(callers, "CALLERS", {**callers.CALLERS, name: rows})
    config = ServerConfig.read(EnvReader({**environment("sfu")}), public=False)
    with pytest.raises(RuntimeError, match="SfuService"):
        RpcServer(config, [api_of(*SERVICES[name])], {}, tokens_of("sfu"))
