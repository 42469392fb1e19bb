"""Records whose statement PostgreSQL always cuts off, beside real outages, which look the same."""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer

from services.runtime.clock import SystemClock
from services.runtime.config import DatabaseConfig, KafkaConfig
from services.runtime.errors import StatementCutOff, StoreUnavailable, is_outage
from services.runtime.kafka.bus import REASON_HEADER, Incoming, Outgoing, TransientFailure
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from services.runtime.kafka.suspicion import FIRST_PATIENCE_S
from services.runtime.postgres.database import Connection, Database
from tests.support.db import connected
from tests.support.waiting import until

TOPIC = "graph.events.v1"


class QuickClock(SystemClock):
    """Patience is over sooner."""

    def monotonic(self) -> float:
        return time.monotonic() * FIRST_PATIENCE_S


async def _sleeps_too_long(connection: Connection) -> None:
    await connection.execute("SET LOCAL statement_timeout = 50")
    await connection.execute("SELECT pg_sleep(60)")


async def _waits_for_a_lock(connection: Connection) -> None:
    await connection.execute("SET LOCAL lock_timeout = 50")
    await connection.execute("SELECT * FROM things WHERE id = 1 FOR UPDATE")


async def _outlasts_the_client(connection: Connection) -> None:
    await connection.execute("SELECT pg_sleep(60)", timeout=0.05)


async def _outlasts_its_transaction(connection: Connection) -> None:
    await connection.execute("SET LOCAL transaction_timeout = 50")
    await connection.execute("SELECT pg_sleep(60)")


async def _breaks_its_connection(connection: Connection) -> None:
    await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def _is_refused_as_by_a_deadlock(connection: Connection) -> None:
    await connection.execute("DO $$ BEGIN RAISE deadlock_detected; END $$")


async def _takes_too_much_memory(connection: Connection) -> None:
    await connection.execute("DO $$ BEGIN RAISE out_of_memory; END $$")


FAULTS = (
    _sleeps_too_long,
    _waits_for_a_lock,
    _outlasts_the_client,
    _outlasts_its_transaction,
    _breaks_its_connection,
    _is_refused_as_by_a_deadlock,
    _takes_too_much_memory,
)


class Handler:
    """Writes each record of one test down, in a transaction in which `bad` ones do as they are told."""

    def __init__(self, database: Database, mark: bytes, fault: Callable[[Connection], object]) -> None:
        self._database = database
        self._mark = mark
        self._fault = fault
        self.tried = 0
        self.handled: list[bytes] = []

    async def handle(self, records: Sequence[Incoming]) -> None:
        mine = [record.value or b"" for record in records if record.key == self._mark]
        if not mine:
            return
        self.tried += 1
        async with self._database.transaction() as connection:
            for value in mine:
                if value.startswith(b"bad"):
                    await self._fault(connection)  # type: ignore[misc]
        self.handled += mine


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    (tmp_path / "0001_things.sql").write_text("CREATE TABLE things (id int); INSERT INTO things VALUES (1)")
    async with connected(Database(DatabaseConfig(database_url, pool_size=3), tmp_path)) as database:
        yield database


@asynccontextmanager
async def locked_row(database_url: str) -> AsyncIterator[None]:
    """Somebody at a prompt holds a row, and went to lunch."""
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT * FROM things FOR UPDATE")
            yield
    finally:
        await other.close()


async def dead_letters(kafka: KafkaConfig, key: bytes) -> list[tuple[bytes, bytes]]:
    """What has been parked with that key: value and reason."""
    reader = AIOKafkaConsumer(
        f"{TOPIC}.dlq", bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=10
    )
    await reader.start()
    try:
        partitions = reader.assignment()
        ends = await reader.end_offsets(partitions)
        found = []
        for partition in partitions:
            while await reader.position(partition) < ends[partition]:
                record = await reader.getone(partition)
                if record.key == key:
                    found.append((record.value, dict(record.headers)[REASON_HEADER]))
        return found
    finally:
        await reader.stop()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
async def test_a_record_that_is_always_cut_off_is_parked_and_the_next_go_on(
    kafka: KafkaConfig,
    publisher: KafkaPublisher,
    database: Database,
    database_url: str,
    fault: Callable[[Connection], object],
) -> None:
    mark = secrets.token_hex(8).encode()
    handler = Handler(database, mark, fault)
    consumer = KafkaConsumer(
        kafka, Subscription((TOPIC,), f"cut-{mark.decode()}"), handler.handle, publisher, None, QuickClock()
    )
    async with locked_row(database_url):
        await publisher.publish([Outgoing(TOPIC, mark, value) for value in (b"first", b"bad", b"last")])
        await consumer.start()
        try:
            await until(lambda: b"last" in handler.handled, what="the last record", progress=lambda: handler.tried)
        finally:
            await consumer.stop()
    assert handler.handled == [b"first", b"last"]
    [(value, reason)] = await dead_letters(kafka, mark)
    assert value == b"bad"
    assert reason.startswith(b"StatementCutOff")
    assert b"others passed" in reason


@pytest.mark.parametrize("others_pass", [True, False])
async def test_a_record_for_which_a_neighbour_never_answers_is_parked_while_it_answers_others(
    kafka: KafkaConfig, publisher: KafkaPublisher, others_pass: bool
) -> None:
    mark, tried, handled = secrets.token_hex(8).encode(), 0, list[bytes]()

    async def answers() -> bool:
        return others_pass

    async def handle(records: Sequence[Incoming]) -> None:
        nonlocal tried
        for record in [record for record in records if record.key == mark]:
            tried += 1
            # An outage ends after many times the patience.
            if record.value == b"bad" and (others_pass or tried < 12):
                raise TransientFailure("no answer", answers)
            handled.append(record.value or b"")

    consumer = KafkaConsumer(
        kafka, Subscription((TOPIC,), f"cut-{mark.decode()}"), handle, publisher, None, QuickClock()
    )
    await publisher.publish([Outgoing(TOPIC, mark, value) for value in (b"bad", b"last")])
    await consumer.start()
    try:
        await until(lambda: b"last" in handled, what="the last record", progress=lambda: tried)
    finally:
        await consumer.stop()
    letters = await dead_letters(kafka, mark)
    assert [value for value, _ in letters] == ([b"bad"] if others_pass else [])
    assert (b"bad" in handled) != others_pass


async def test_a_real_outage_parks_nothing(
    kafka: KafkaConfig, publisher: KafkaPublisher, database: Database, postgres: str, database_url: str
) -> None:
    """The database takes no connections and ends those that it has, again and again, for many times the patience."""
    mark = secrets.token_hex(8).encode()
    handler = Handler(database, mark, _sleeps_too_long)
    consumer = KafkaConsumer(
        kafka, Subscription((TOPIC,), f"cut-{mark.decode()}"), handler.handle, publisher, None, QuickClock()
    )
    name = urlsplit(database_url).path[1:]
    admin = await asyncpg.connect(postgres)
    try:
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await publisher.publish([Outgoing(TOPIC, mark, value) for value in (b"first", b"last")])
        await consumer.start()
        try:
            await until(lambda: handler.tried >= 7, what="many tries", progress=lambda: handler.tried)
            assert handler.handled == []
            await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await until(lambda: handler.handled == [b"first", b"last"], what="all", progress=lambda: handler.handled)
        finally:
            await consumer.stop()
    finally:
        await admin.close()
    assert await dead_letters(kafka, mark) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
async def test_a_statement_that_is_cut_off_while_others_pass_is_no_outage(
    database: Database, database_url: str, fault: Callable[[Connection], object]
) -> None:
    async with locked_row(database_url):
        with pytest.raises(StatementCutOff) as raised:
            async with database.transaction() as connection:
                await fault(connection)  # type: ignore[misc]
        assert not await is_outage(raised.value)


async def test_without_a_connection_nothing_is_cut_off(database: Database) -> None:
    """Who gets none because others hold them all is not at fault."""
    async with database.connection(), database.connection(), database.connection():
        with pytest.raises(StoreUnavailable) as raised:
            async with database.connection():
                pass
    assert not isinstance(raised.value, StatementCutOff)
