"""What the database's start does about a server that refuses: the real ones are in tests/integration/runtime."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.runtime.config import DatabaseConfig
from services.runtime.errors import StoreUnavailable
from services.runtime.lifecycle import App
from services.runtime.postgres import database as database_module
from services.runtime.postgres.database import Database
from services.runtime.postgres.migrations import FaultyMigration
from services.runtime.postgres.refusals import PASSING
from tests.support.db import error_of
from tests.support.waiting import eventually, within

CONFIG = DatabaseConfig("postgresql://nowhere/x", 2)


class Pool:
    """A pool whose connections raise what they are told to, at a statement."""

    def __init__(self, error_at: Callable[[str], Exception | None]) -> None:
        self._error_at = error_at
        self.expired = self.terminated = 0

    def acquire(self, timeout: float | None = None) -> "Pool":
        return self

    async def __aenter__(self) -> "Pool":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def execute(self, statement: str, *_: Any, **__: Any) -> None:
        if error := self._error_at(statement):
            raise error

    async def fetch(self, statement: str, *_: Any) -> list[Any]:
        return []

    def transaction(self) -> "Pool":
        return self

    async def expire_connections(self) -> None:
        self.expired += 1

    def terminate(self) -> None:
        self.terminated += 1

    async def close(self) -> None: ...


def of_callers(error: Exception) -> Pool:
    """What is said to callers, and to who asks whether it serves; it has been reached and migrated before."""
    return Pool(lambda said: error if said.startswith(("INSERT", "SELEKT", "DO")) else None)


async def reached(monkeypatch: pytest.MonkeyPatch, pool: Pool, migrations: Path) -> Database:
    """The database behind that pool."""

    async def create_pool(*_: Any, **__: Any) -> Pool:
        return pool

    monkeypatch.setattr(database_module.asyncpg, "create_pool", create_pool)
    database = Database(CONFIG, migrations)
    await database.start()
    await within(database.wait_connected(), 20)
    return database


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE things (id int)")
    return tmp_path


@pytest.mark.parametrize("code", [code for code in PASSING if len(code) == 5] + ["08006", "53300", "57P03", "58030"])
@pytest.mark.parametrize("at", ["connect", "CREATE TABLE IF NOT EXISTS", "CREATE TABLE things", "SELECT pg_advisory"])
async def test_a_start_that_is_refused_for_now_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, migrations: Path, code: str, at: str
) -> None:
    refusals, pools = [error_of(code)], []

    async def create_pool(*_: Any, **__: Any) -> Pool:
        if at == "connect" and refusals:
            raise refusals.pop()
        pools.append(Pool(lambda said: refusals.pop() if said.startswith(at) and refusals else None))
        return pools[-1]

    monkeypatch.setattr(database_module.asyncpg, "create_pool", create_pool)
    database = Database(CONFIG, migrations)
    await database.start()
    await within(database.wait_connected(), 20)
    assert not refusals
    # No attempt leaves its connection behind.
    assert [pool.terminated for pool in pools] == [1] * (len(pools) - 1) + [0]
    await database.stop()


async def test_a_faulty_migration_ends_the_process(monkeypatch: pytest.MonkeyPatch, migrations: Path) -> None:
    async def create_pool(*_: Any, **__: Any) -> Pool:
        return Pool(lambda said: error_of("42601") if said.startswith("CREATE TABLE things") else None)

    monkeypatch.setattr(database_module.asyncpg, "create_pool", create_pool)
    app = App([Database(CONFIG, migrations)])
    await app.start()
    assert isinstance(await within(app.failed(), 20), FaultyMigration)
    await app.stop()


async def test_a_start_that_fails_for_no_known_reason_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, migrations: Path
) -> None:
    errors = [ValueError("a bug"), asyncio.CancelledError()]

    async def create_pool(*_: Any, **__: Any) -> Pool:
        if errors:
            raise errors.pop()
        return Pool(lambda _: None)

    monkeypatch.setattr(database_module.asyncpg, "create_pool", create_pool)
    database = Database(CONFIG, migrations)
    await database.start()
    await eventually(database.ready, what="the pool")
    await database.stop()


@pytest.mark.parametrize("code", [code for code in PASSING if len(code) == 5] + ["57P01", "53100"])
async def test_what_passes_is_told_as_unavailable_and_a_demoted_primary_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    pool = of_callers(error_of(code))
    database = await reached(monkeypatch, pool, tmp_path)
    with pytest.raises(StoreUnavailable):
        async with database.connection() as connection:
            await connection.execute("INSERT")
    assert pool.expired == (code == "25006")
    assert not await database.ready()


async def test_a_bug_stays_a_bug(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database = await reached(monkeypatch, of_callers(error_of("42601")), tmp_path)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        async with database.connection() as connection:
            await connection.execute("SELEKT")
