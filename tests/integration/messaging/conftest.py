"""The stores that hold the contract: the fake and PostgreSQL's."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.messaging.attachments.ports import AttachmentStore, OpeningStore
from services.messaging.attachments.sql.store import PostgresAttachments
from services.messaging.drafts.ports import DraftStore
from services.messaging.drafts.sql import PostgresDrafts
from services.messaging.groups.ports import InviteStore
from services.messaging.groups.sql.invites import PostgresInvites
from services.messaging.hooks.ports import HeldStore
from services.messaging.hooks.sql import PostgresHeld
from services.messaging.messages.sql.openings import PostgresOpenings
from services.messaging.pins.ports import PinStore
from services.messaging.pins.sql import PostgresPins
from services.messaging.receipts.ports import ReceiptStore
from services.messaging.receipts.sql import PostgresReceipts
from services.messaging.relations.ports import ReportStore
from services.messaging.relations.sql.store import PostgresReports
from services.messaging.scheduling.ports import ScheduledStore
from services.messaging.scheduling.sql import PostgresScheduled
from services.messaging.vanishing.ports import SweepStore
from services.messaging.vanishing.sql import PostgresSweepStore
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.attachments import FakeAttachments
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected, own_database
from tests.support.drafts import MemoryDrafts
from tests.support.hooks import MemoryHeld
from tests.support.messaging_cases import RelationStore, Store
from tests.support.messaging_memory import MemoryStore
from tests.support.messaging_news import MemoryNews, News, PostgresNews
from tests.support.messaging_postgres import PostgresRelations, PostgresStore
from tests.support.relations import FakeReports
from tests.support.scheduled import MemoryScheduled


@pytest.fixture(scope="session")
async def template_url(postgres: str) -> AsyncIterator[str]:
    """A database with all tables of messaging, and nothing in them."""
    async with own_database(postgres) as url:
        async with connected(Database(DatabaseConfig(url, pool_size=1), MIGRATIONS)):
            pass
        yield url


@pytest.fixture
async def migrated_url(postgres: str, template_url: str) -> AsyncIterator[str]:
    """A copy of it, which costs less than to migrate it. It is dropped afterwards."""
    async with own_database(postgres, like=template_url) as url:
        yield url


@pytest.fixture(params=["fake", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "fake" else str(request.getfixturevalue("migrated_url"))


@pytest.fixture
async def truth(url: str | None) -> AsyncIterator[MemoryStore | Database]:
    """What all the stores of a test stand on."""
    if url is None:
        yield MemoryStore()
        return
    async with connected(Database(DatabaseConfig(url, pool_size=6), MIGRATIONS)) as database:
        yield database


@pytest.fixture
def store(truth: MemoryStore | Database) -> Store:
    if isinstance(truth, MemoryStore):
        return truth
    return PostgresStore(truth, OutboxRelay(truth, MemoryPublisher()), new_id)


@pytest.fixture
def invites(truth: MemoryStore | Database) -> InviteStore:
    return truth if isinstance(truth, MemoryStore) else PostgresInvites(truth)


@pytest.fixture
def receipts(truth: MemoryStore | Database) -> ReceiptStore:
    if isinstance(truth, MemoryStore):
        return truth
    return PostgresReceipts(truth, OutboxRelay(truth, MemoryPublisher()), new_id)


@pytest.fixture
def pins(truth: MemoryStore | Database) -> PinStore:
    if isinstance(truth, MemoryStore):
        return truth
    return PostgresPins(truth, OutboxRelay(truth, MemoryPublisher()), new_id)


@pytest.fixture
def sweeps(truth: MemoryStore | Database) -> SweepStore:
    if isinstance(truth, MemoryStore):
        return truth
    return PostgresSweepStore(truth, OutboxRelay(truth, MemoryPublisher()), new_id)


@pytest.fixture
def news(truth: MemoryStore | Database) -> News:
    return MemoryNews(truth) if isinstance(truth, MemoryStore) else PostgresNews(truth)


@pytest.fixture
def relations(truth: MemoryStore | Database) -> RelationStore:
    """Of the same people as `store`."""
    if isinstance(truth, MemoryStore):
        return truth.relations
    return PostgresRelations(truth, OutboxRelay(truth, MemoryPublisher()).wake)


@pytest.fixture
def reports(truth: MemoryStore | Database) -> ReportStore:
    return FakeReports(truth.relations) if isinstance(truth, MemoryStore) else PostgresReports(truth)


@pytest.fixture
def uploads(truth: MemoryStore | Database) -> AttachmentStore:
    """Beside the messages of `store`."""
    return FakeAttachments(truth) if isinstance(truth, MemoryStore) else PostgresAttachments(truth)


@pytest.fixture
def openings(truth: MemoryStore | Database) -> OpeningStore:
    """Beside the messages of `store`."""
    if isinstance(truth, MemoryStore):
        return truth
    return PostgresOpenings(truth, OutboxRelay(truth, MemoryPublisher()), new_id)


@pytest.fixture
def held(truth: MemoryStore | Database) -> HeldStore:
    """Beside the messages of `store`."""
    return MemoryHeld(truth) if isinstance(truth, MemoryStore) else PostgresHeld(truth, timedelta(days=14))


@pytest.fixture
def drafts(truth: MemoryStore | Database) -> DraftStore:
    """Beside the messages of `store`."""
    if isinstance(truth, MemoryStore):
        return MemoryDrafts(truth)
    return PostgresDrafts(truth, OutboxRelay(truth, MemoryPublisher()))


@pytest.fixture
def scheduled(truth: MemoryStore | Database) -> ScheduledStore:
    """Beside the messages of `store`."""
    if isinstance(truth, MemoryStore):
        return MemoryScheduled(truth)
    return PostgresScheduled(truth, OutboxRelay(truth, MemoryPublisher()))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
