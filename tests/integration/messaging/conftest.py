"""The stores that hold the contract: the fake and PostgreSQL's."""

from collections.abc import AsyncIterator

import pytest

from services.messaging.ports import Store
from services.messaging.relations.ports import RelationStore, ReportStore
from services.messaging.relations.store import PostgresRelations, PostgresReports
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
from tests.support.relations import FakeReports


@pytest.fixture(params=["fake", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "fake" else str(request.getfixturevalue("database_url"))


@pytest.fixture
async def database(url: str | None) -> AsyncIterator[Database | None]:
    """None for the fakes."""
    if url is None:
        yield None
        return
    async with connected(Database(DatabaseConfig(url, pool_size=6), MIGRATIONS)) as database:
        yield database


@pytest.fixture
def store(database: Database | None) -> Store:
    if database is None:
        return FakeStore()
    return PostgresStore(database, OutboxRelay(database, MemoryPublisher()), new_id)


@pytest.fixture
def relations(database: Database | None, store: Store) -> RelationStore:
    """Of the same people as `store`."""
    if isinstance(store, FakeStore):
        return store.relations
    assert database is not None
    return PostgresRelations(database, OutboxRelay(database, MemoryPublisher()).wake)


@pytest.fixture
def reports(database: Database | None) -> ReportStore:
    return FakeReports() if database is None else PostgresReports(database)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
