"""Each call by people leaves a record: before it runs, and when it ended, however it ended."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from parley.messaging.v1 import (
    accounts_pb2,
    accounts_pb2_grpc,
    relations_pb2,
    relations_pb2_grpc,
    server_pb2,
    service_pb2,
)
from structlog.testing import capture_logs

from services.runtime.config import DatabaseConfig, ServerConfig
from services.runtime.env import EnvReader
from services.runtime.errors import StoreUnavailable, reason_of
from services.runtime.grpc.channels import Credentials, connect
from services.runtime.grpc.guard import Access, Admins
from services.runtime.grpc.server import Api, RpcServer
from services.runtime.identity.audit import AUDITED, AuditedCall, Entry, Trail
from services.runtime.identity.audit_store import PostgresTrail
from services.runtime.postgres.database import Database
from tests.support.admins import admin, verifier
from tests.support.identities import environment, tokens_of
from tests.support.waiting import PATIENCE_S, eventually, until

ACCOUNTS, MODERATION = "parley.messaging.v1.AccountAdminService", "parley.messaging.v1.ModerationService"
MIGRATIONS = Path("services")
WITH_DATABASE = ("messaging", "presence", "signaling", "webhooks", "push")


class Office(accounts_pb2_grpc.AccountAdminServiceServicer):
    """Says what was done."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def DeleteUser(
        self, request: accounts_pb2.DeleteUserRequest, context: Any
    ) -> accounts_pb2.DeleteUserResponse:
        self.deleted.append(request.user_id)
        return accounts_pb2.DeleteUserResponse()

    async def ListDeletedUsers(
        self, request: accounts_pb2.ListDeletedUsersRequest, context: Any
    ) -> accounts_pb2.ListDeletedUsersResponse:
        return accounts_pb2.ListDeletedUsersResponse(user_ids=self.deleted)


class Desk:
    """A server of people's services, and its channel."""

    def __init__(self, trail: Trail | None) -> None:
        self.office = Office()
        local = "127.0.0.1:0"
        env = {"PARLEY_GRPC_ADDRESS": local, "PARLEY_ADMIN_ADDRESS": local, "PARLEY_DRAIN_GRACE_S": "0"}
        config = ServerConfig.read(EnvReader(env | environment("messaging")), public=False, admin=True)
        add_accounts = accounts_pb2_grpc.add_AccountAdminServiceServicer_to_server
        add_moderation = relations_pb2_grpc.add_ModerationServiceServicer_to_server
        apis = [
            Api(ACCOUNTS, Access.ADMIN, lambda s: add_accounts(self.office, s)),
            Api(MODERATION, Access.ADMIN, lambda s: add_moderation(relations_pb2_grpc.ModerationServiceServicer(), s)),
        ]
        self.server = RpcServer(config, apis, {}, tokens_of("messaging"), admins=Admins(verifier(), trail))

    async def call(self, tokens: Credentials, name: str, request: Any) -> str:
        """How it ended: the reason of a refusal, its status without one, or OK."""
        async with connect(f"127.0.0.1:{self.server.admin_port}", tokens, fresh=True) as channel:
            stub: Any = accounts_pb2_grpc.AccountAdminServiceStub(channel)
            try:
                await getattr(stub, name)(request, timeout=PATIENCE_S)
            except grpc.aio.AioRpcError as error:
                return reason_of(error) or error.code().name
        return "OK"

    async def delete(self, tokens: Credentials) -> str:
        return await self.call(tokens, "DeleteUser", accounts_pb2.DeleteUserRequest(user_id="alice"))


@asynccontextmanager
async def opened(trail: Trail | None) -> AsyncIterator[Desk]:
    desk = Desk(trail)
    await desk.server.start()
    try:
        yield desk
    finally:
        await desk.server.stop()


@asynccontextmanager
async def migrated(url: str, service: str) -> AsyncIterator[Database]:
    database = Database(DatabaseConfig(url, pool_size=4), MIGRATIONS / service / "migrations")
    await database.start()
    await eventually(database.ready, what="the database")
    try:
        yield database
    finally:
        await database.stop()


def test_all_services_of_people_and_of_the_back_office_are_audited() -> None:
    assert {
        ACCOUNTS,
        MODERATION,
        "parley.presence.v1.PresenceAdminService",
        "parley.webhooks.v1.WebhookAdminService",
        "parley.notifications.v1.NotificationsAdminService",
        "parley.gateway.v1.GatewayAdminService",
        "parley.calls.v1.CallOperationsService",
        "parley.calls.v1.ServerCallsService",
        "parley.messaging.v1.ServerMessagingService",
    } == AUDITED


@pytest.mark.parametrize(("role", "outcome"), [("privacy", "OK"), ("moderator", "PERMISSION_DENIED")])
async def test_a_call_is_recorded_with_its_caller_and_its_end(role: str, outcome: str) -> None:
    with capture_logs() as lines:
        async with opened(None) as desk:
            await desk.delete(admin(role, subject="petra"))
        # The answer may be here before its record is.
        await until(lambda: any(line["event"] == "admin_call_ended" for line in lines), what="the record of the end")
    records = [line for line in lines if line["event"].startswith("admin_call")]
    runs = outcome == "OK"
    assert [record["event"] for record in records] == [*(["admin_call_begun"] if runs else []), "admin_call_ended"]
    assert {(line["caller"], line["method"], *line["roles"]) for line in records} == {("petra", "DeleteUser", role)}
    assert len({record["request_id"] for record in records}) == 1
    assert records[-1]["outcome"] == outcome
    assert not runs or records[0]["user_id"] == "alice"


async def test_what_a_request_says_is_not_recorded() -> None:
    kept: list[Entry] = []

    class Kept:
        async def append(self, entry: Entry) -> None:
            kept.append(entry)

    request = service_pb2.SendMessageRequest(conversation_id="c", text={"text": "what somebody wrote"})
    resolve = relations_pb2.ResolveReportRequest(report_id="r", resolved_by="what somebody wrote")
    with capture_logs() as lines:
        for each in (request, resolve):
            await AuditedCall("1", MODERATION, "ResolveReport", Kept()).begin(each)
    assert "somebody" not in f"{lines}{kept}"
    assert kept[1].targets == {"report_id": "r"}


async def test_a_reason_is_in_the_row_and_not_in_the_log() -> None:
    kept: list[Entry] = []

    class Kept:
        async def append(self, entry: Entry) -> None:
            kept.append(entry)

    request = server_pb2.RemoveMembersRequest(
        as_user_id="bot", conversation_id="c", user_ids=["alice", "bob"], reason="she said something"
    )
    with capture_logs() as lines:
        await AuditedCall("1", "parley.messaging.v1.ServerMessagingService", "RemoveMembers", Kept()).begin(request)
    named = {"as_user_id": "bot", "conversation_id": "c", "user_ids": "alice bob"}
    assert kept[0].targets == {**named, "reason": "she said something"}
    assert named.items() <= lines[0].items()
    assert "something" not in str(lines)


def test_no_log_level_silences_the_record() -> None:
    """In a process of its own: loggers remember where they wrote first."""
    program = (
        "import asyncio\n"
        "from services.runtime import config\n"
        "from services.runtime.identity import audit\n"
        "from services.runtime.observability import logs\n"
        "logs.configure(config.LogConfig('json', 'error'), 'test')\n"
        "asyncio.run(audit.AuditedCall('1', 'an api', 'DeleteUser', None).end('OK'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "admin_call_ended" in done.stdout + done.stderr


@pytest.mark.parametrize("service", WITH_DATABASE)
async def test_the_row_is_there_before_the_call_runs_and_another_when_it_ended(database_url: str, service: str) -> None:
    async with migrated(database_url, service) as database, opened(PostgresTrail(database)) as desk:
        assert await desk.delete(admin("privacy", subject="petra")) == "OK"
        assert await desk.delete(admin("operator", subject="olga")) == "CALLER_NOT_ALLOWED"
        assert await desk.delete(tokens_of("gateway")) == "TOKEN_INVALID"

        async def rows() -> list[tuple[Any, ...]]:
            query = "SELECT who, roles, api, method, targets, outcome FROM admin_audit ORDER BY id"
            async with database.connection() as connection:
                return [tuple(row) for row in await connection.fetch(query)]

        async def all_there() -> bool:
            return len(await rows()) == 3

        await eventually(all_there, what="the rows")
        found = await rows()
        assert [(row[0], row[1], row[5]) for row in found] == [
            ("petra", ["privacy"], ""),
            ("petra", ["privacy"], "OK"),
            ("olga", ["operator"], "PERMISSION_DENIED"),
        ]
        assert {row[2:4] for row in found} == {(ACCOUNTS, "DeleteUser")}
        assert json.loads(found[0][4]) == {"user_id": "alice"}
    assert desk.office.deleted == ["alice"]


@pytest.mark.parametrize("service", WITH_DATABASE)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE admin_audit SET who = 'somebody else'",
        "UPDATE admin_audit SET outcome = 'OK' WHERE false",
        "DELETE FROM admin_audit",
        "DELETE FROM admin_audit WHERE who = 'petra'",
        "TRUNCATE admin_audit",
        "TRUNCATE admin_audit CASCADE",
        "SET session_replication_role = replica; DELETE FROM admin_audit",
        "MERGE INTO admin_audit a USING (VALUES ('petra')) AS v (who) ON a.who = v.who WHEN MATCHED THEN DELETE",
        "INSERT INTO admin_audit (id, request_id, who, roles, api, method, targets, outcome) OVERRIDING SYSTEM VALUE"
        " SELECT id, '', '', roles, '', '', targets, '' FROM admin_audit ON CONFLICT (id) DO UPDATE SET who = 'x'",
    ],
)
async def test_no_statement_changes_a_row_or_takes_it_away(database_url: str, service: str, statement: str) -> None:
    async with migrated(database_url, service) as database:
        await PostgresTrail(database).append(Entry("1", ACCOUNTS, "DeleteUser", caller="petra"))
        async with database.connection() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="admin_audit takes no"):
                await connection.execute(statement)
            await connection.execute("RESET session_replication_role")
            assert await connection.fetchval("SELECT who FROM admin_audit") == "petra"


class Broken:
    """A trail that takes nothing."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def append(self, entry: Entry) -> None:
        raise self._error


@pytest.mark.parametrize("error", [StoreUnavailable("away"), asyncpg.InsufficientPrivilegeError("no"), OSError("full")])
async def test_without_its_row_a_change_is_refused_and_a_look_goes_on(error: Exception) -> None:
    async with opened(Broken(error)) as desk:
        assert await desk.delete(admin("privacy")) == "STORE_UNAVAILABLE"
        assert desk.office.deleted == []
        assert await desk.call(admin("privacy"), "ListDeletedUsers", accounts_pb2.ListDeletedUsersRequest()) == "OK"


async def test_a_table_that_is_gone_refuses_changes(database_url: str) -> None:
    async with migrated(database_url, "messaging") as database, opened(PostgresTrail(database)) as desk:
        async with database.connection() as connection:
            await connection.execute("DROP TABLE admin_audit")
        assert await desk.delete(admin("privacy")) == "STORE_UNAVAILABLE"
        assert desk.office.deleted == []
