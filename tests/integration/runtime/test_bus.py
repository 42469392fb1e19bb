import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import ProducerClosed

from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable
from services.runtime.kafka import closing
from services.runtime.kafka.bus import (
    REASON_HEADER,
    HandleBatch,
    Incoming,
    Outgoing,
    PoisonRecord,
    TransientFailure,
)
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from tests.support.waiting import eventually, until

TOPIC = "graph.events.v1"


@pytest.fixture
def mark() -> bytes:
    """Tells this test's records from those of others on the same topic."""
    return secrets.token_hex(8).encode()


@asynccontextmanager
async def consuming(
    kafka: KafkaConfig, publisher: KafkaPublisher, handle: HandleBatch, group: str | None = None
) -> AsyncIterator[None]:
    consumer = KafkaConsumer(kafka, Subscription((TOPIC,), group), handle, publisher)
    await consumer.start()
    try:
        yield
    finally:
        await consumer.stop()


class Handler:
    """Keeps what it handled of one test; fails as told."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self.handled: list[bytes] = []
        self.failures: dict[bytes, list[Exception]] = {}

    async def handle(self, records: Sequence[Incoming]) -> None:
        for record in [record for record in records if record.key == self._mark]:
            value = record.value or b""
            if self.failures.get(value):
                raise self.failures[value].pop(0)
            self.handled.append(value)


async def send(publisher: KafkaPublisher, key: bytes, *values: bytes) -> None:
    await publisher.publish([Outgoing(TOPIC, key, value) for value in values])


async def test_records_of_a_key_come_in_order(kafka: KafkaConfig, publisher: KafkaPublisher, mark: bytes) -> None:
    handler = Handler(mark)
    async with consuming(kafka, publisher, handler.handle):
        await send(publisher, mark, *(b"%03d" % number for number in range(100)))
        await until(lambda: len(handler.handled) == 100)
    assert handler.handled == sorted(handler.handled)


async def test_a_failure_of_others_is_retried_until_it_passes(
    kafka: KafkaConfig, publisher: KafkaPublisher, mark: bytes
) -> None:
    handler = Handler(mark)
    handler.failures[b"1"] = [TransientFailure("away")] * 4 + [BusUnavailable("away")] * 3
    async with consuming(kafka, publisher, handler.handle):
        await send(publisher, mark, b"1", b"2")
        await until(lambda: b"2" in handler.handled)
    assert handler.handled[-2:] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("failures", "reason"),
    [([PoisonRecord("not what it says")] * 2, b"not what it says"), ([ValueError("a bug")] * 9, b"ValueError")],
)
async def test_a_poison_record_is_parked_with_its_reason_and_the_next_go_on(
    kafka: KafkaConfig, publisher: KafkaPublisher, mark: bytes, failures: list[Exception], reason: bytes
) -> None:
    handler = Handler(mark)
    handler.failures[b"bad"] = list(failures)
    async with consuming(kafka, publisher, handler.handle):
        await send(publisher, mark, b"bad", b"good")
        await until(lambda: b"good" in handler.handled)
    assert b"bad" not in handler.handled
    assert await dead_letter(kafka, mark) == (b"bad", reason)


async def dead_letter(kafka: KafkaConfig, key: bytes) -> tuple[bytes, bytes]:
    consumer = AIOKafkaConsumer(
        f"{TOPIC}.dlq", bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=10
    )
    await consumer.start()
    try:
        async for record in consumer:
            if record.key == key:
                return record.value, dict(record.headers)[REASON_HEADER]
    finally:
        await consumer.stop()
    raise AssertionError("the consumer ended")


async def test_a_new_member_goes_on_after_what_was_committed(
    kafka: KafkaConfig, publisher: KafkaPublisher, mark: bytes
) -> None:
    group = f"test-{mark.decode()}"
    first, second = Handler(mark), Handler(mark)
    await send(publisher, mark, b"1")
    async with consuming(kafka, publisher, first.handle, group):
        await until(lambda: first.handled == [b"1"])
    await send(publisher, mark, b"2")
    async with consuming(kafka, publisher, second.handle, group):
        await until(lambda: b"2" in second.handled)
    assert second.handled == [b"2"]


async def test_a_publisher_without_a_broker_says_so_and_does_not_block_the_start() -> None:
    publisher = KafkaPublisher(KafkaConfig("127.0.0.1:9", idempotent=False, session_timeout_ms=3000, fetch_wait_ms=10))
    await publisher.start()
    assert not await publisher.ready()
    with pytest.raises(BusUnavailable):
        await send(publisher, b"k", b"v")
    await publisher.stop()


async def test_a_producer_that_is_given_up_while_the_broker_hangs_sends_nothing_later(
    kafka: KafkaConfig, mark: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "_FLUSH_S", 0)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    await producer.partitions_for(TOPIC)
    asked = asyncio.Event()

    async def hang(*_: object, **__: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(producer.client, "send", hang)
    acknowledged = await producer.send(TOPIC, b"late", key=mark)
    await asked.wait()
    await closing.stop_producer(producer)
    assert producer._sender.sender_task.done()
    assert not any(made.connected() for made in producer.client._conns.values())
    with pytest.raises(ProducerClosed):
        await acknowledged


async def test_who_reads_all_of_a_topic_is_ready_when_what_was_there_has_been_handled(
    kafka: KafkaConfig, publisher: KafkaPublisher, mark: bytes
) -> None:
    """Else a replica would let in whom the topic refuses, as long as it has not read so far."""
    await send(publisher, mark, *(b"%03d" % number for number in range(50)))
    handler, reached, held = Handler(mark), asyncio.Event(), asyncio.Event()

    async def handle(records: Sequence[Incoming]) -> None:
        reached.set()
        await held.wait()
        await handler.handle(records)

    consumer = KafkaConsumer(kafka, Subscription((TOPIC,), None), handle, publisher)
    await consumer.start()
    try:
        await until(reached.is_set, what="the consumer's first batch")
        assert not await consumer.ready()
        held.set()
        await eventually(consumer.ready, what="the consumer that has read all")
        assert len(handler.handled) == 50
    finally:
        await consumer.stop()
