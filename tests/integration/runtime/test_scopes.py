"""The server API's port against a real server: each pair of scope and method, from the descriptors of all protos."""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import status_pb2
from structlog.testing import capture_logs

from deploy import server_keys
from services.runtime.clock import SystemClock
from services.runtime.config import ServerConfig
from services.runtime.env import EnvReader
from services.runtime.errors import reason_of, retry_delay_s
from services.runtime.grpc.guard import Access, Admins, servers
from services.runtime.grpc.server import Api, RpcServer
from services.runtime.identity import callers, roles, scopes
from services.runtime.identity.server_keys import SERVER_KIND
from tests.integration.runtime.test_roles import ALL_ROLES, OPS
from tests.integration.runtime.test_roles import SERVICES as OF_PEOPLE
from tests.integration.runtime.test_roles import api_of as api_of_people
from tests.support import admins
from tests.support import servers as signed
from tests.support.client_rpcs import services_in
from tests.support.identities import environment, tokens_of
from tests.support.waiting import PATIENCE_S, until

SERVICES = services_in(scopes.SCOPES)
METHODS = [method for service, _ in SERVICES.values() for method in service.methods]
# Nobody implements anything here, so whoever gets in is told this.
IN = (grpc.StatusCode.INTERNAL, "INTERNAL")
KEYS = {scope: server_keys.new_key(scope.replace(":", "-"), [scope], "*", 100_000) for scope in sorted(scopes.ALL)}
NONE = server_keys.new_key("none", [], "*", 100_000)
SLOW = server_keys.new_key("slow", scopes.ALL, "*", 2)


def api_of(name: str, access: Access = Access.SERVER) -> Api:
    service, module = SERVICES[name]
    return api_of_people(service, module, access)


def config(keys_file: Path | str = "") -> ServerConfig:
    local = "127.0.0.1:0"
    env = {"PARLEY_GRPC_ADDRESS": local, "PARLEY_ADMIN_ADDRESS": local, "PARLEY_DRAIN_GRACE_S": "0"}
    env |= {"PARLEY_SERVER_KEYS_FILE": str(keys_file)} if keys_file else {}
    return ServerConfig.read(EnvReader(env | environment("messaging")), public=False, admin=True, servers=True)


def built(keys_file: Path | str, *, people: bool) -> RpcServer:
    apis = [*(api_of(name) for name in SERVICES), *(api_of_people(*each) for each in OF_PEOPLE.values())]
    known = servers(config(keys_file).server_keys_file, SystemClock())
    persons = Admins(admins.verifier()) if people else None
    return RpcServer(config(keys_file), apis, {}, tokens_of("messaging"), admins=persons, servers=known)


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RpcServer]:
    server = built(signed.written(tmp_path_factory.mktemp("keys"), *KEYS.values(), NONE, SLOW), people=True)
    await server.start()
    yield server
    await server.stop()


async def answer(port: int, method: MethodDescriptor, token: str) -> grpc.aio.AioRpcError:
    path = f"/{method.containing_service.full_name}/{method.name}"
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(path)(b"", timeout=PATIENCE_S, metadata=metadata)
    return caught.value


async def outcome(port: int, method: MethodDescriptor, token: str) -> tuple[grpc.StatusCode, str]:
    error = await answer(port, method, token)
    return error.code(), reason_of(error)


async def until_ended(lines: Sequence[Mapping[str, Any]], calls: int) -> None:
    """An answer may be here before the record of its end is."""
    await until(
        lambda: [line["event"] for line in lines].count("admin_call_ended") >= calls, what="the records of the ends"
    )


def token_of(key: server_keys.Jwk, method: MethodDescriptor, **changes: Any) -> str:
    return signed.sign(key, signed.claims(key, time.time(), method.containing_service.full_name, **changes))


def test_each_row_of_the_table_is_a_service_of_the_protos() -> None:
    assert set(SERVICES) == set(scopes.SCOPES)


def test_what_only_looks_is_named_so_and_nothing_else_is() -> None:
    assert {method.name: method.name.startswith(("Get", "List")) for method in METHODS} == {
        method.name: not scopes.is_change(method.containing_service.full_name, method.name) for method in METHODS
    }


@pytest.mark.parametrize("scope", KEYS)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_a_key_gets_in_where_its_scope_has_the_method_and_nowhere_else(
    server: RpcServer, method: MethodDescriptor, scope: str
) -> None:
    ended = await outcome(server.admin_port, method, token_of(KEYS[scope], method))
    if scopes.may_call([scope], method.containing_service.full_name, method.name):
        assert ended == IN
    else:
        assert ended == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_nobody_else_gets_in(server: RpcServer, method: MethodDescriptor) -> None:
    name = method.containing_service.full_name
    (key, *_) = [key for scope, key in KEYS.items() if scopes.may_call([scope], name, method.name)]
    denied = await outcome(server.admin_port, method, token_of(NONE, method, parley_scopes=sorted(scopes.ALL)))
    assert denied == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    for token in (
        "",
        token_of(key, method, aud=OPS),
        token_of(key, method, exp=int(time.time()) + 10_000),
        token_of(server_keys.new_key("stranger", scopes.ALL, "*"), method),
        admins.admin(*ALL_ROLES).token(""),
        *(tokens_of(caller).token(name) for caller in callers.IDENTITIES),
    ):
        assert (await outcome(server.admin_port, method, token))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_a_servers_token_opens_nothing_of_people(server: RpcServer) -> None:
    for service, _ in OF_PEOPLE.values():
        for method in service.methods:
            for kind in (SERVER_KIND, "JWT"):
                said = signed.claims(SLOW, time.time(), service.full_name, roles=list(ALL_ROLES))
                ended = await outcome(server.admin_port, method, signed.sign(SLOW, said, kind))
                assert ended[0] is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_the_port_of_users_and_services_has_none_of_it(server: RpcServer, method: MethodDescriptor) -> None:
    for key in KEYS.values():
        assert (await outcome(server.port, method, token_of(key, method)))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_who_asks_too_often_is_told_when_to_come_again(server: RpcServer) -> None:
    method = METHODS[0]
    with capture_logs() as lines:
        ended = [await answer(server.admin_port, method, token_of(SLOW, method)) for _ in range(3)]
        await until_ended(lines, 3)
    assert [error.code() for error in ended[:2]] == [IN[0], IN[0]]
    assert (ended[2].code(), reason_of(ended[2])) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert 0 < delay_of(ended[2]) <= 30
    # A program that runs wild fills no table: without a caller there is no row.
    callers_told = [line["caller"] for line in lines if line["event"] == "admin_call_ended"]
    assert callers_told == ["server:slow", "server:slow", ""]


def delay_of(error: grpc.aio.AioRpcError) -> float:
    (details,) = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
    return retry_delay_s(status_pb2.Status.FromString(details)) or 0.0  # type: ignore[arg-type]


async def test_the_port_opens_for_servers_alone_and_has_nothing_for_people_then(tmp_path: Path) -> None:
    server = built(signed.written(tmp_path, *KEYS.values()), people=False)
    await server.start()
    try:
        for method in METHODS:
            scope = scopes.SCOPES[method.containing_service.full_name][method.name].takes
            assert await outcome(server.admin_port, method, token_of(KEYS[scope], method)) == IN
        for service, _ in OF_PEOPLE.values():
            for method in service.methods:
                ended = await outcome(server.admin_port, method, admins.admin(*ALL_ROLES).token(""))
                assert ended[0] is grpc.StatusCode.UNIMPLEMENTED
    finally:
        await server.stop()


async def test_without_a_file_of_keys_nothing_is_served_to_servers() -> None:
    server = built("", people=True)
    await server.start()
    try:
        for method in METHODS:
            token = token_of(KEYS[sorted(scopes.ALL)[0]], method)
            assert (await outcome(server.admin_port, method, token))[0] is grpc.StatusCode.UNIMPLEMENTED
    finally:
        await server.stop()


async def test_a_key_that_is_taken_away_opens_nothing_any_more(tmp_path: Path) -> None:
    server = built(signed.written(tmp_path, *KEYS.values()), people=False)
    await server.start()
    method = METHODS[0]
    scope = scopes.SCOPES[method.containing_service.full_name][method.name].takes
    try:
        assert await outcome(server.admin_port, method, token_of(KEYS[scope], method)) == IN
        signed.written(tmp_path, NONE)
        ended = await outcome(server.admin_port, method, token_of(KEYS[scope], method))
        assert ended == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    finally:
        await server.stop()


async def test_each_call_is_recorded_with_the_server_and_its_scopes(server: RpcServer) -> None:
    method = METHODS[0]
    scope = scopes.SCOPES[method.containing_service.full_name][method.name].takes
    with capture_logs() as lines:
        await outcome(server.admin_port, method, token_of(KEYS[scope], method))
        await outcome(server.admin_port, method, token_of(NONE, method))
        await until_ended(lines, 2)
    records = [line for line in lines if line["event"].startswith("admin_call")]
    named = f"server:{scope.replace(':', '-')}"
    assert [(line["event"], line["caller"], line["roles"], line.get("outcome", "")) for line in records] == [
        ("admin_call_begun", named, [scope], ""),
        ("admin_call_ended", named, [scope], "INTERNAL"),
        ("admin_call_ended", "server:none", [], "PERMISSION_DENIED"),
    ]
    assert KEYS[scope]["d"] not in json.dumps(lines, default=str)


def test_a_method_without_a_row_stops_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "parley.messaging.v1.ServerMessagingService"
    rows = {method: rule for method, rule in scopes.SCOPES[name].items() if method != "SendMessage"}
    monkeypatch.setattr(scopes, "SCOPES", {**scopes.SCOPES, name: rows})
    with pytest.raises(RuntimeError, match="ServerMessagingService"):
        RpcServer(config(), [api_of(name)], {}, tokens_of("messaging"))


@pytest.mark.parametrize("access", [Access.SERVICE, Access.ADMIN])
def test_a_service_of_the_back_office_is_not_served_to_others(access: Access) -> None:
    assert not set(scopes.SCOPES) & set(roles.ROLES)
    with pytest.raises(RuntimeError, match="ServerMessagingService"):
        RpcServer(config(), [api_of("parley.messaging.v1.ServerMessagingService", access)], {}, tokens_of("messaging"))
