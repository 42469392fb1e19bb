"""The command that migrates and ends; what it applies is tested in tests/integration/messaging/test_migrations.py."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from services.runtime.postgres.migrate import main, patiently
from services.runtime.postgres.migrations import FaultyMigration
from tests.support.clock import ManualClock


@pytest.mark.parametrize("arguments", [[], ["nobody"], ["gateway"], ["../messaging"], ["messaging", "presence"]])
def test_only_a_service_that_has_migrations_is_taken(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, {}) == 2
    assert "usage" in capsys.readouterr().err


def test_a_setting_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messaging"], {}) == 2
    assert "PARLEY_DATABASE_URL is not set" in capsys.readouterr().err


def test_a_database_that_is_away_is_a_failure_that_may_be_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://parley@127.0.0.1:{taken.getsockname()[1]}/parley_messaging?sslmode=disable"
        assert main(["messaging"], {"PARLEY_DATABASE_URL": url}, wait_s=0) == 1


class Attempts:
    """What each attempt raises, in turn; those after them succeed."""

    def __init__(self, *failures: Exception) -> None:
        self.left = list(failures)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.left:
            raise self.left.pop(0)
        return "applied"


def sleeping(clock: ManualClock) -> Callable[[float], Awaitable[None]]:
    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    return sleep


async def run(attempts: Attempts, wait_s: float = 60) -> str:
    clock = ManualClock()
    return await patiently(attempts, wait_s, clock.monotonic, sleeping(clock))


@pytest.mark.parametrize(
    "failure",
    [
        # As a network policy that does not know the pod yet: refused, or silence.
        ConnectionRefusedError(111, "refused"),
        TimeoutError(),
        socket.gaierror(-3, "no name server is reached"),
        asyncpg.CannotConnectNowError("it is starting up"),
        asyncpg.InvalidCatalogNameError("the database is not made yet"),
    ],
)
async def test_a_database_that_is_not_reached_yet_is_waited_for(failure: Exception) -> None:
    attempts = Attempts(*[failure] * 5)
    assert await run(attempts) == "applied"
    assert attempts.made == 6


async def test_the_wait_has_an_end() -> None:
    attempts = Attempts(*[ConnectionRefusedError(111, "refused")] * 1000)
    with pytest.raises(ConnectionRefusedError):
        await run(attempts, wait_s=60)
    # The pause grows, so that a database that comes up is not asked again and again.
    assert 10 < attempts.made < 30


@pytest.mark.parametrize(
    "failure", [FaultyMigration("it was applied and has changed since"), asyncpg.PostgresSyntaxError("no SQL")]
)
async def test_what_does_not_pass_is_not_tried_again(failure: Exception) -> None:
    attempts = Attempts(failure)
    with pytest.raises(type(failure)):
        await run(attempts)
    assert attempts.made == 1
