"""The store under test: the fake and PostgreSQL, behind one contract."""

from collections.abc import AsyncIterator

import pytest

from services.runtime.config import DatabaseConfig
from services.runtime.db import Database
from services.signaling.ports import Record
from services.signaling.store import PostgresStore
from services.signaling.wiring import MIGRATIONS
from tests.integration.signaling.bench import Bench
from tests.support.waiting import eventually
from tests.unit.signaling.fakes import FakeStore


async def open_database(url: str) -> Database:
    database = Database(DatabaseConfig(url, pool_size=12), MIGRATIONS)
    await database.start()
    await eventually(database.ready, 30)
    return database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = await open_database(database_url)
    yield made
    await made.stop()


@pytest.fixture(params=["fake", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Where the store's database is; None for the fake."""
    return None if request.param == "fake" else str(request.getfixturevalue("database_url"))


@pytest.fixture
async def bench(store_url: str | None) -> AsyncIterator[Bench]:
    if store_url is None:
        fake = FakeStore()

        async def remembered() -> list[Record]:
            return fake.records

        yield Bench(fake, remembered)
        return
    database = await open_database(store_url)

    async def stored() -> list[Record]:
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT topic, key, value FROM outbox ORDER BY id")
        return [Record(*row) for row in rows]

    yield Bench(PostgresStore(database, lambda order_key: None), stored)
    await database.stop()
