"""The stores that hold the contract: the fake and PostgreSQL's."""

from collections.abc import AsyncIterator

import pytest

from services.messaging.ports import Store
from services.messaging.store import PostgresStore
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.db import Database
from services.runtime.ids import new_id
from services.runtime.outbox import OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging import FakeStore


@pytest.fixture(params=["fake", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "fake" else str(request.getfixturevalue("database_url"))


@pytest.fixture
async def store(url: str | None) -> AsyncIterator[Store]:
    if url is None:
        yield FakeStore()
        return
    async with connected(Database(DatabaseConfig(url, pool_size=6), MIGRATIONS)) as database:
        yield PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
