"""The operators' commands on webhooks, as a shell has them, against the admin API on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.runtime.config import ServerConfig
from services.runtime.env import EnvReader
from services.runtime.grpc.guard import Admins
from services.runtime.grpc.server import RpcServer
from services.webhooks import rpc
from services.webhooks.core.attempts import RetryPolicy
from tests.integration.webhooks.conftest import Hooks, event, ids_of, key_of
from tests.support.admins import admin, verifier
from tests.support.identities import environment, tokens_of
from tests.support.ops_command import run_ops
from tests.support.waiting import eventually, until

KEY = "conversation:1"


class Shell:
    """Runs the commands against one server."""

    def __init__(self, hooks: Hooks, folder: Path) -> None:
        local = "127.0.0.1:0"
        env = {"PARLEY_GRPC_ADDRESS": local, "PARLEY_ADMIN_ADDRESS": local, "PARLEY_DRAIN_GRACE_S": "0"}
        config = ServerConfig.read(EnvReader(env | environment("webhooks")), public=False, admin=True)
        apis = rpc.apis(hooks.operating())
        self.server = RpcServer(config, apis, rpc.ERRORS, tokens_of("webhooks"), admins=Admins(verifier()))
        self._token = folder / "token"
        self._token.write_text(admin("operator").token(""))

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, output and complaints."""
        address = f"127.0.0.1:{self.server.admin_port}"
        return await run_ops(
            {"PARLEY_ADMIN_TOKEN_FILE": str(self._token), "PARLEY_WEBHOOKS_ADDRESSES": address}, *arguments
        )


@pytest.fixture
async def shell(hooks: Hooks, tmp_path: Path) -> AsyncIterator[Shell]:
    made = Shell(hooks, tmp_path)
    await made.server.start()
    await made.server.set_ready(True)
    yield made
    await made.server.stop()


async def test_what_was_given_up_is_listed_and_replayed_by_time(hooks: Hooks, shell: Shell) -> None:
    receiver = await hooks.receiver("bots")
    receiver.answer = lambda _: 400
    began = datetime.now(UTC) - timedelta(seconds=1)
    await hooks.sender(RetryPolicy(give_up_after_s=0, most_backoff_s=0.01))
    await hooks.tell(*(event(KEY, number) for number in range(3)))

    async def are_dead() -> bool:
        _, output, _ = await shell.run("webhooks")
        name, state, _, waiting, oldest, dead, _ = output.splitlines()[1].split()
        return (name, state, waiting, oldest, dead) == ("bots", "failing", "0", "-", "3")

    await eventually(are_dead, what="three dead letters in the table")
    status, output, _ = await shell.run("webhook-dead-letters", "bots")
    assert status == 0
    assert [line.split()[3] for line in output.splitlines()[1:]] == ids_of(KEY, 3)[::-1]
    receiver.answer = lambda _: 200
    answer = await shell.run("replay-webhooks", "bots", "--since", began.isoformat(), "--dead-only")
    assert answer == (0, "3 deliveries to bots wait again", "")
    await until(lambda: len(receiver.taken) == 3, what="the replay")
    assert receiver.first_times(key_of, KEY) == ids_of(KEY, 3)


async def test_an_endpoint_that_is_gone_is_shown_and_enabled(hooks: Hooks, shell: Shell) -> None:
    receiver = await hooks.receiver("bots")
    receiver.answer = lambda _: 410
    await hooks.sender()
    await hooks.tell(event(KEY, 0))

    async def is_shown() -> bool:
        _, output, _ = await shell.run("webhooks")
        return output.splitlines()[1].split()[1] == "disabled"

    await eventually(is_shown, what="the endpoint is shown as disabled")
    receiver.answer = lambda _: 200
    assert await shell.run("enable-webhook", "bots") == (0, "bots is sent to again", "")
    await until(lambda: receiver.taken, what="the delivery")


@pytest.mark.parametrize(
    "command",
    [("enable-webhook",), ("webhook-dead-letters",), ("replay-webhooks", "--since", "2026-01-01")],
)
async def test_an_endpoint_that_is_not_there_is_named(shell: Shell, command: tuple[str, ...]) -> None:
    status, _, complaints = await shell.run(*command, "nobody")
    assert status == 1
    assert complaints == "ops: ENDPOINT_NOT_FOUND: no endpoint is called 'nobody'"
