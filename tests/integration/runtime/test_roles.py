"""The admin port against a real server: each pair of role and method, from the descriptors of all protos."""

import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from services.runtime.clock import SystemClock
from services.runtime.config import ServerConfig
from services.runtime.env import EnvReader
from services.runtime.errors import reason_of
from services.runtime.grpc.guard import Access, Admins
from services.runtime.grpc.server import Api, RpcServer
from services.runtime.identity import callers, roles
from tests.support import admins
from tests.support.client_rpcs import services_in
from tests.support.identities import environment, tokens_of
from tests.support.waiting import PATIENCE_S

OPS = "parley.calls.v1.CallOperationsService"
ALL_ROLES = (roles.MODERATOR, roles.OPERATOR, roles.PRIVACY)


SERVICES = services_in(roles.ROLES)
METHODS = [method for service, _ in SERVICES.values() for method in service.methods]


def api_of(service: ServiceDescriptor, module: Any, access: Access = Access.ADMIN) -> Api:
    servicer = getattr(module, f"{service.name}Servicer")()
    add = getattr(module, f"add_{service.name}Servicer_to_server")
    return Api(service.full_name, access, lambda server: add(servicer, server))


def config() -> ServerConfig:
    local = "127.0.0.1:0"
    env = {"PARLEY_GRPC_ADDRESS": local, "PARLEY_ADMIN_ADDRESS": local, "PARLEY_DRAIN_GRACE_S": "0"}
    return ServerConfig.read(EnvReader(env | environment("messaging")), public=False, admin=True)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[RpcServer]:
    apis = [api_of(*each) for each in SERVICES.values()]
    server = RpcServer(config(), apis, {}, tokens_of("messaging"), admins=Admins(admins.verifier()))
    await server.start()
    yield server
    await server.stop()


async def outcome(port: int, method: MethodDescriptor, token: str) -> tuple[grpc.StatusCode, str]:
    """How a call ends; nobody implements anything here, so whoever gets in is told INTERNAL."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            await channel.unary_unary(path)(b"", timeout=PATIENCE_S, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return error.code(), reason_of(error)
    return grpc.StatusCode.OK, ""


def test_each_row_of_the_table_is_a_service_of_the_protos_and_no_service_may_call_it() -> None:
    assert set(SERVICES) == set(roles.ROLES)
    assert not set(roles.ROLES) & set(callers.CALLERS)


def test_what_only_looks_is_named_so_and_nothing_else_is() -> None:
    looks = ("List", "Get", "Describe", "Find", "Locate")
    assert {method.name: method.name.startswith(looks) for method in METHODS} == {
        method.name: not roles.is_change(method.containing_service.full_name, method.name) for method in METHODS
    }


@pytest.mark.parametrize("role", [*ALL_ROLES, "", "admin", "Operator", "*"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_a_role_gets_in_where_the_table_has_it_and_nowhere_else(
    server: RpcServer, method: MethodDescriptor, role: str
) -> None:
    ended = await outcome(server.admin_port, method, admins.admin(*([role] if role else [])).token(""))
    if roles.may_call([role], method.containing_service.full_name, method.name):
        assert ended[1] == "INTERNAL"
    else:
        assert ended == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_the_port_of_users_and_services_has_none_of_it(server: RpcServer, method: MethodDescriptor) -> None:
    tokens = [admins.admin(*ALL_ROLES).token(""), ""]
    tokens += [tokens_of(caller).token(method.containing_service.full_name) for caller in callers.IDENTITIES]
    for token in tokens:
        assert (await outcome(server.port, method, token))[0] is grpc.StatusCode.UNIMPLEMENTED


def forged() -> dict[str, str]:
    """What is no token of a person, however much it looks like one."""
    now = int(time.time())
    whole = {"roles": list(ALL_ROLES)}
    return {
        "nothing": "",
        "of the users' issuer": admins.sign(**whole, iss="https://dev-issuer.parley.invalid"),
        "for the users' audience": admins.sign(**whole, aud="parley"),
        "for nobody": admins.sign(**whole, aud=None),
        "of no issuer": admins.sign(**whole, iss=None),
        "too long a life": admins.sign(**whole, iat=now, exp=now + 3601),
        "of 31 years": admins.sign(**whole, iat=now, exp=now + 31 * 31_536_000),
        "without a beginning": admins.sign(**whole, iat=None),
        "without an end": admins.sign(**whole, exp=None),
        "over": admins.sign(**whole, iat=now - 3600, exp=now - 600),
        "of tomorrow": admins.sign(**whole, iat=now + 86_400, exp=now + 86_500),
        "of nobody": admins.sign(**whole, sub=None),
        "roles that are no words": admins.sign(roles={"operator": True}),
        "a role that is no word": admins.sign(roles=["operator", 7]),
        **{f"of the service {name}": tokens_of(name).token(OPS) for name in callers.IDENTITIES},
    }


@pytest.mark.parametrize("what", forged())
async def test_only_a_token_of_the_peoples_issuer_gets_in(server: RpcServer, what: str) -> None:
    for method in METHODS:
        assert (await outcome(server.admin_port, method, forged()[what]))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_roles_may_be_words_of_one_string(server: RpcServer) -> None:
    (locate,) = [method for method in METHODS if method.name == "LocateCall"]
    assert (await outcome(server.admin_port, locate, admins.sign(roles="email operator")))[1] == "INTERNAL"


async def test_without_an_issuer_of_people_nothing_is_served_to_them() -> None:
    apis = [api_of(*each) for each in SERVICES.values()]
    server = RpcServer(config(), apis, {}, tokens_of("messaging"))
    await server.start()
    try:
        assert server.admin_port == 0
        for method in METHODS:
            token = admins.admin(*ALL_ROLES).token("")
            assert (await outcome(server.port, method, token))[0] is grpc.StatusCode.UNIMPLEMENTED
    finally:
        await server.stop()


def test_a_method_without_a_row_stops_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {method: rule for method, rule in roles.ROLES[OPS].items() if method != "MoveCall"}
    monkeypatch.setattr(roles, "ROLES", {**roles.ROLES, OPS: rows})
    with pytest.raises(RuntimeError, match="CallOperationsService"):
        RpcServer(config(), [api_of(*SERVICES[OPS])], {}, tokens_of("messaging"))


def test_an_admin_service_is_not_served_to_services() -> None:
    with pytest.raises(RuntimeError, match="CallOperationsService"):
        RpcServer(config(), [api_of(*SERVICES[OPS], Access.SERVICE)], {}, tokens_of("messaging", SystemClock()))
