import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig, KafkaConfig
from services.runtime.errors import BusUnavailable, StoreUnavailable
from services.runtime.kafka.bus import Outgoing
from services.runtime.kafka.dead_letters import KEPT_VALUE_BYTES
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.postgres import outbox
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.db import connected
from tests.support.waiting import eventually, until


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with connected(Database(DatabaseConfig(database_url, pool_size=10), MIGRATIONS)) as started:
        yield started


async def write(database: Database, order_key: str, *values: bytes) -> None:
    async with database.transaction() as connection:
        await outbox.append(connection, order_key, [("topic", "key", value) for value in values])


async def is_empty(database: Database) -> bool:
    async with database.connection() as connection:
        return not await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)")


async def test_rows_of_one_transaction_and_of_later_ones_are_published_in_order(database: Database) -> None:
    publisher = MemoryPublisher()
    relay = OutboxRelay(database, publisher)
    await write(database, "a", b"1", b"2", b"3")
    await write(database, "a", b"4")
    assert await relay.publish_shards([outbox.shard_of("a")]) == 4
    assert [record.value for record in publisher.records] == [b"1", b"2", b"3", b"4"]
    assert await relay.publish_shards([outbox.shard_of("a")]) == 0


async def test_what_follows_from_a_record_is_published_right_after_it(database: Database) -> None:
    publisher = MemoryPublisher()
    relay = OutboxRelay(
        database, publisher, lambda record: [Outgoing("other", record.key, b"of " + (record.value or b""))]
    )
    await write(database, "a", b"1", b"2")
    assert await relay.publish_shards([outbox.shard_of("a")]) == 2
    assert [record.value for record in publisher.records] == [b"1", b"of 1", b"2", b"of 2"]


async def test_rows_stay_until_the_broker_acknowledges(database: Database) -> None:
    publisher = MemoryPublisher()
    relay = OutboxRelay(database, publisher)
    await write(database, "a", b"1")
    publisher.down = True
    with pytest.raises(BusUnavailable):
        await relay.publish_shards([outbox.shard_of("a")])
    publisher.down = False
    assert await relay.publish_shards([outbox.shard_of("a")]) == 1


async def test_what_a_rolled_back_transaction_wrote_is_never_published(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.transaction() as connection:
            await outbox.append(connection, "a", [("topic", "key", b"1")])
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await write_and_fail()
    assert await OutboxRelay(database, MemoryPublisher()).publish_shards([outbox.shard_of("a")]) == 0


async def test_a_sweep_publishes_what_a_dead_replica_left(database: Database) -> None:
    await write(database, "a", b"1")
    await write(database, "b", b"2")
    publisher = MemoryPublisher()
    relay = OutboxRelay(database, publisher)
    await relay.start()
    await until(lambda: len(publisher.records) == 2)
    await relay.stop()


@pytest.mark.parametrize("finds_a_way", [True, False, None])
async def test_what_was_committed_is_handed_over_and_published_whether_it_finds_a_way_or_not(
    database: Database, finds_a_way: bool | None
) -> None:
    publisher, handed = MemoryPublisher(), list[Outgoing]()

    def hand_over(record: Outgoing) -> bool:
        handed.append(record)
        if finds_a_way is None:
            raise KeyError("a bug")
        return finds_a_way

    relay = OutboxRelay(database, publisher, hand_over=hand_over)
    await relay.start()
    rows = [("a", "topic", "key", b"1"), ("b", "topic", "key", b"2")]
    async with database.transaction() as connection:
        await outbox.append_many(connection, rows)
    relay.committed(rows)
    assert [record.value for record in handed] == [b"1", b"2"]
    await until(lambda: len(publisher.records) == 2, what="both are published")
    # The rows go after that; a relay that is stopped between the two publishes them again.
    await eventually(lambda: is_empty(database), what="the rows are gone")
    await relay.stop()


async def test_a_shard_is_published_again_after_a_fault_that_nobody_expected(database: Database) -> None:
    class FaultyOnce(MemoryPublisher):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        async def publish(self, records: Sequence[Outgoing]) -> None:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("a fault in a library")
            await super().publish(records)

    await write(database, "a", b"1")
    publisher = FaultyOnce()
    relay = OutboxRelay(database, publisher)
    await relay.start()
    await until(lambda: len(publisher.records) == 1)
    await relay.stop()


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_row_that_the_broker_never_takes_is_parked_and_its_shard_goes_on(
    database: Database, broker: str, *, idempotent: bool
) -> None:
    """By the client's limit; the broker's own is in test_odd_records.py."""
    topic, key = "graph.events.v1", secrets.token_hex(8)
    publisher = KafkaPublisher(KafkaConfig(broker, idempotent, session_timeout_ms=3000, fetch_wait_ms=10))
    await publisher.start()
    await publisher.wait_connected()
    relay = OutboxRelay(database, publisher)
    rows = [(topic, key, b"1"), (topic, key, b"x" * (2 << 20)), (topic, key, b"3")]
    try:
        async with database.transaction() as connection:
            await outbox.append(connection, key, rows)
        assert await relay.publish_shards([outbox.shard_of(key)]) == 3
        assert await relay.publish_shards([outbox.shard_of(key)]) == 0
    finally:
        await publisher.stop()
    assert await _values(broker, topic, key) == [b"1", b"3"]
    assert [len(value) for value in await _values(broker, f"{topic}.dlq", key)] == [KEPT_VALUE_BYTES]


async def _values(broker: str, topic: str, key: str) -> list[bytes]:
    reader = AIOKafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest", fetch_max_wait_ms=10)
    await reader.start()
    try:
        partitions = [TopicPartition(topic, number) for number in reader.partitions_for_topic(topic)]
        left = sum((await reader.end_offsets(partitions)).values())
        left -= sum((await reader.beginning_offsets(partitions)).values())
        records = [await reader.getone() for _ in range(left)]
    finally:
        await reader.stop()
    return [record.value for record in records if record.key == key.encode()]


async def test_a_replica_that_vanished_while_it_published_holds_its_shard_for_a_bounded_time(
    database: Database, database_url: str
) -> None:
    """Its host or network is gone, or it is stopped: to the server, a transaction in which nothing more comes."""

    class Vanishing(MemoryPublisher):
        began, returns = asyncio.Event(), asyncio.Event()

        async def publish(self, records: Sequence[Outgoing]) -> None:
            self.began.set()
            await self.returns.wait()

    await write(database, "a", b"1")
    shards = [outbox.shard_of("a")]
    config = DatabaseConfig(database_url, pool_size=1)
    async with connected(Database(config, MIGRATIONS, idle_transaction_s=0.3)) as other:
        publisher = Vanishing()
        lost = asyncio.create_task(OutboxRelay(other, publisher).publish_shards(shards))
        await publisher.began.wait()
        assert await OutboxRelay(database, MemoryPublisher()).publish_shards(shards) == 1
        publisher.returns.set()
        with pytest.raises(StoreUnavailable):
            await lost


async def test_the_server_is_told_how_long_a_silent_replica_may_hold_locks(database: Database) -> None:
    async with database.connection() as connection:
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "15s"


@pytest.mark.parametrize("replicas", [1, 2, 4])
async def test_several_relays_keep_the_order_of_each_key_and_double_nothing(database: Database, replicas: int) -> None:
    publisher = MemoryPublisher()
    relays = [OutboxRelay(database, publisher) for _ in range(replicas)]
    for relay in relays:
        await relay.start()

    async def writer(key: str, relay: OutboxRelay) -> None:
        for number in range(20):
            await write(database, key, f"{key}:{number:02}".encode())
            relay.wake(key)

    keys = [f"key{number}" for number in range(6)]
    await asyncio.gather(*(writer(key, relays[index % replicas]) for index, key in enumerate(keys)))
    # A relay that is stopped between the broker's ack and its commit leaves rows that another one publishes again.
    await eventually(lambda: is_empty(database), what="an empty outbox")
    for relay in relays:
        await relay.stop()
    values = [(record.value or b"").decode() for record in publisher.records]
    assert len(values) == len(set(values)) == 120
    for key in keys:
        mine = [value for value in values if value.startswith(f"{key}:")]
        assert mine == sorted(mine)


def test_the_shard_of_a_key_never_changes() -> None:
    assert [outbox.shard_of(key) for key in ("a", "b", "01a203f3-d537-79cf-b90e-cf1849d3790e")] == [3, 9, 10]
