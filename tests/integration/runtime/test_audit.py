"""Each call by people's tools leaves a record: before it runs, and when it ended, however it ended."""

from collections.abc import AsyncIterator

import grpc
import pytest
import structlog
from parley.messaging.v1 import accounts_pb2, accounts_pb2_grpc, relations_pb2_grpc, service_pb2
from structlog.testing import capture_logs

from services.runtime import audit, logs
from services.runtime.audit import AUDITED
from services.runtime.config import EnvReader, LogConfig, ServerConfig
from services.runtime.rpc import Access, Api, RpcServer, connect
from tests.support.identities import environment, tokens_of
from tests.support.waiting import until

ACCOUNTS, MODERATION = "parley.messaging.v1.AccountAdminService", "parley.messaging.v1.ModerationService"


@pytest.fixture
async def address() -> AsyncIterator[str]:
    env = {"PARLEY_GRPC_ADDRESS": "127.0.0.1:0", "PARLEY_DRAIN_GRACE_S": "0", **environment("messaging")}
    add_accounts = accounts_pb2_grpc.add_AccountAdminServiceServicer_to_server
    add_moderation = relations_pb2_grpc.add_ModerationServiceServicer_to_server
    apis = [
        Api(ACCOUNTS, Access.SERVICE, lambda s: add_accounts(accounts_pb2_grpc.AccountAdminServiceServicer(), s)),
        Api(MODERATION, Access.SERVICE, lambda s: add_moderation(relations_pb2_grpc.ModerationServiceServicer(), s)),
    ]
    server = RpcServer(ServerConfig.read(EnvReader(env), public=False), apis, {}, tokens_of("messaging"))
    await server.start()
    yield f"127.0.0.1:{server.port}"
    await server.stop()


def test_all_services_of_peoples_tools_are_audited() -> None:
    assert {
        ACCOUNTS,
        MODERATION,
        "parley.presence.v1.PresenceAdminService",
        "parley.gateway.v1.GatewayAdminService",
        "parley.calls.v1.CallOperationsService",
    } == AUDITED


@pytest.mark.parametrize(("caller", "runs"), [("back-office", True), ("moderation", False), ("gateway", False)])
async def test_a_call_is_recorded_with_its_caller_and_its_end(address: str, caller: str, runs: bool) -> None:
    with capture_logs() as lines:
        async with connect(address, tokens_of(caller)) as channel:
            stub = accounts_pb2_grpc.AccountAdminServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.DeleteUser(accounts_pb2.DeleteUserRequest(user_id="alice"), timeout=30)
        # The answer may be here before its record is.
        await until(lambda: any(line["event"] == "admin_call_ended" for line in lines), what="the record of the end")
    records = [line for line in lines if line["event"].startswith("admin_call")]
    assert [record["event"] for record in records] == [*(["admin_call_begun"] if runs else []), "admin_call_ended"]
    assert {(record["caller"], record["method"]) for record in records} == {(caller, "DeleteUser")}
    assert len({record["request_id"] for record in records}) == 1
    if runs:
        assert records[0]["user_id"] == "alice"
    else:
        assert records[-1]["outcome"] == "PERMISSION_DENIED"


def test_what_a_request_says_is_not_recorded() -> None:
    request = service_pb2.SendMessageRequest(conversation_id="c", text={"text": "what somebody wrote"})
    with capture_logs() as lines:
        audit.begun("1", MODERATION, "GetReport", "moderation", request)
    assert "somebody" not in str(lines)


def test_no_log_level_silences_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        logs.configure(LogConfig("json", "error"), "test")
        audit.ended("1", ACCOUNTS, "DeleteUser", "back-office", "OK")
    finally:
        structlog.configure(**before)
    assert "admin_call_ended" in "".join(capsys.readouterr())
