"""kill -9 of the services that refuse an account: a new process knows what the one before knew, before it serves."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import grpc
from parley.messaging.v1 import accounts_pb2 as accounts
from parley.messaging.v1 import accounts_pb2_grpc

from parley_client.client import http_login
from parley_client.error_details import reason_of
from services.runtime.grpc.channels import connect
from tests.integration.api.test_tokens import CALLS, Call, bearer
from tests.support.admins import admin_of
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S, eventually

SERVICES = ("messaging", "gateway", "signaling")


async def reason(stack: RunningStack, service: str, call: Call, token: str) -> str:
    """What a service says to a token; nothing when it answers."""
    async with grpc.aio.insecure_channel(stack.record.grpc_addresses[service]) as channel:
        try:
            await call(channel, bearer(token))
        except grpc.aio.AioRpcError as error:
            return reason_of(error) or error.code().name
    return ""


async def until_refused(stack: RunningStack, tokens: dict[str, str]) -> None:
    """Waits until every service refuses each token with its reason."""
    said: dict[tuple[str, str], str] = {}

    async def is_refused() -> bool:
        for wanted, token in tokens.items():
            for service, call in CALLS:
                said[wanted, call.__name__] = await reason(stack, service, call, token)
        return all(got == wanted for (wanted, _), got in said.items())

    await eventually(is_refused, what=f"refusals; last {said}")


async def test_after_a_kill_nobody_is_let_in_who_was_refused_before(faulty: RunningStack) -> None:
    revoked, deleted = [f"gone-{secrets.token_hex(4)}" for _ in range(2)]
    login = http_login(faulty.record.issuer_url)
    tokens = {
        "TOKEN_REVOKED": (await login(revoked)).value,
        "ACCOUNT_DELETED": (await login(deleted)).value,
    }
    office_token = admin_of(faulty.record, "privacy")
    async with connect(faulty.record.admin_addresses["messaging"], office_token) as channel:
        office: Any = accounts_pb2_grpc.AccountAdminServiceStub(channel)
        await office.SignOutUser(accounts.SignOutUserRequest(user_id=revoked), timeout=PATIENCE_S)
        await office.DeleteUser(accounts.DeleteUserRequest(user_id=deleted), timeout=PATIENCE_S)
    await until_refused(faulty, tokens)
    for service in SERVICES:
        pid = faulty.kill(service)
        # It is said to run again once it is ready, and by then it has read the topic.
        await asyncio.to_thread(faulty.wait_for_restart, service, pid)
        for wanted, token in tokens.items():
            for name, call in CALLS:
                if name == service:
                    assert await reason(faulty, service, call, token) == wanted
