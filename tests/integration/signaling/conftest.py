"""The store under test, the fake and PostgreSQL behind one contract; and a whole signaling service in its town."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import grpc
import pytest

from services.ops.credentials import ISSUER as ADMIN_ISSUER
from services.runtime.config import DatabaseConfig
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.postgres.database import Database
from services.signaling.config import Config
from services.signaling.ports import Record
from services.signaling.sql.store import PostgresStore
from services.signaling.wiring import MIGRATIONS, build
from tests.integration.signaling.bench import Bench
from tests.integration.signaling.neighbours import (
    FakeSfu,
    Issuer,
    kafka_config,
    membership_server,
)
from tests.integration.signaling.town import Replica, Town
from tests.support.identities import environment as identity_env
from tests.support.waiting import eventually
from tests.unit.signaling.fake_store import FakeStore


async def open_database(url: str) -> Database:
    database = Database(DatabaseConfig(url, pool_size=12), MIGRATIONS)
    await database.start()
    await eventually(database.ready)
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

    yield Bench(PostgresStore(database, lambda *_: None), stored)
    await database.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("issuer")


@pytest.fixture(scope="module")
async def town_database(postgres: str) -> AsyncIterator[str]:
    """A database that all tests of a file share, as replicas do."""
    name = f"test_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f'CREATE DATABASE "{name}"')
    yield postgres.replace("/parley_messaging?", f"/{name}?")
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@pytest.fixture(scope="module")
async def neighbours(town_database: str, broker: str, folder: Path) -> AsyncIterator[Town]:
    """A town in which signaling does not run: its replica was built, and never started."""
    conversations: dict[str, list[str]] = {}
    closed: set[str] = set()
    async with AsyncExitStack() as stack:
        publisher = KafkaPublisher(kafka_config(broker))
        messaging = membership_server(conversations, closed)
        sfu = FakeSfu(f"sfu-{uuid4().hex[:8]}", publisher, participants=50)
        issuer = Issuer(folder)
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        await eventually(publisher.ready)
        for part in (messaging, issuer, sfu):
            await part.start()
            stack.push_async_callback(part.stop)
        env = {
            "PARLEY_GRPC_ADDRESS": "127.0.0.1:0",
            "PARLEY_DRAIN_GRACE_S": "0",
            "PARLEY_ADMIN_ADDRESS": "127.0.0.1:0",
            "PARLEY_ADMIN_JWKS_URL": issuer.admin_url,
            "PARLEY_ADMIN_JWT_ISSUER": ADMIN_ISSUER,
            "PARLEY_JWKS_URL": issuer.url,
            "PARLEY_JWT_ISSUER": "https://dev-issuer.parley.invalid",
            **identity_env("signaling"),
            "PARLEY_KAFKA_BOOTSTRAP": broker,
            "PARLEY_KAFKA_IDEMPOTENT": "false",
            "PARLEY_KAFKA_FETCH_WAIT_MS": "50",
            "PARLEY_WORKER_LOST_S": "5",
            "PARLEY_MEDIA_SETTLE_S": "1",
            "PARLEY_MEDIA_LOST_TIMEOUT_S": "10",
            "PARLEY_CALLS_PER_MINUTE": "1000",
            "PARLEY_DATABASE_URL": town_database,
            "PARLEY_MESSAGING_ADDRESS": f"127.0.0.1:{messaging.port}",
        }
        async with grpc.aio.insecure_channel("127.0.0.1:0") as nowhere:
            replica = Replica(build(Config.from_env(env)), nowhere)
            yield Town(env, issuer, publisher, sfu, conversations, closed, replica)


@pytest.fixture(scope="module")
async def town(request: pytest.FixtureRequest, neighbours: Town) -> AsyncIterator[Town]:
    """A town in which signaling runs, with what the file's SIGNALING_ENV says beside."""
    async with neighbours.another(**getattr(request.module, "SIGNALING_ENV", {})) as replica:
        await eventually(replica.is_ready)
        yield replace(neighbours, replica=replica)


@pytest.fixture(scope="module")
async def other_worker(neighbours: Town) -> AsyncIterator[FakeSfu]:
    """A fuller worker than the town's, for calls to move to."""
    async with neighbours.worker(participants=neighbours.sfu.participants + 10) as worker:
        yield worker
