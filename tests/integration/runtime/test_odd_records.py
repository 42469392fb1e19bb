"""One of each oddity that Kafka can carry, through a real broker: it is handled or parked, and the next one comes."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.consumer import fetcher

from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable, RecordRefused
from services.runtime.kafka.bus import REASON_HEADER, Incoming, Outgoing
from services.runtime.kafka.codecs import MAX_BYTES
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.dead_letters import OFFSET_HEADER, PART_HEADER
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from tests.support.odd_records import ATTRIBUTES_AT, RECORDS_AT, Odd, batch, replaced, send_raw
from tests.support.waiting import eventually, until

NOW_MS = int(time.time() * 1000)
DAY_MS = 86_400_000
PLAIN: Odd = (b"k", b"plain", NOW_MS, ())
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Place:
    """A topic of one test's own, with its dead-letter topic."""

    def __init__(self, admin: AIOKafkaAdminClient, kafka: KafkaConfig) -> None:
        self.topic = f"odd-{secrets.token_hex(6)}"
        self.partition = TopicPartition(self.topic, 0)
        self.admin = admin
        self.kafka = kafka

    async def make(self, config: dict[str, str] | None = None) -> None:
        topics = [NewTopic(self.topic, 1, 1, topic_configs=config or {}), NewTopic(f"{self.topic}.dlq", 1, 1)]
        await self.admin.create_topics(topics)

        async def is_there() -> bool:
            found = await self.admin.describe_topics([self.topic])
            return bool(found[0]["partitions"]) and all(one["leader"] >= 0 for one in found[0]["partitions"])

        await eventually(is_there)

    async def send(self, raw: bytes) -> None:
        await send_raw(self.kafka.bootstrap, self.partition, raw)

    async def dead_letters(self, count: int = 1) -> list[dict[str, bytes]]:
        """The headers of all dead letters, once there are so many: what can be handled is handled first."""
        reader = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap, fetch_max_wait_ms=10)
        await reader.start()
        try:
            partition = TopicPartition(f"{self.topic}.dlq", 0)
            reader.assign([partition])
            await reader.seek_to_beginning(partition)
            end = 0

            async def has_enough() -> bool:
                nonlocal end
                end = (await reader.end_offsets([partition]))[partition]
                return end >= count

            await eventually(has_enough, what=f"{count} dead letters", progress=lambda: end)
            return [dict((await reader.getone()).headers) for _ in range(end)]
        finally:
            await reader.stop()


@pytest.fixture
async def place(kafka: KafkaConfig) -> AsyncIterator[Place]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        yield Place(admin, kafka)
    finally:
        await admin.close()


class Reader:
    """A consumer of a place that keeps what it was given."""

    def __init__(self, place: Place, publisher: KafkaPublisher, group: str | None = None) -> None:
        self.came: list[Incoming] = []
        self.group = group or f"odd-{secrets.token_hex(4)}"
        self._consumer = KafkaConsumer(place.kafka, Subscription((place.topic,), self.group), self._handle, publisher)

    async def _handle(self, records: Sequence[Incoming]) -> None:
        self.came += records

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.came]

    async def __aenter__(self) -> "Reader":
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def until_last(self) -> None:
        await until(lambda: b"last" in self.values, what=f"the last record, of {len(self.came)},")


LAST = batch((b"k", b"last", NOW_MS, ()))


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
async def test_a_compressed_record_is_handled(place: Place, publisher: KafkaPublisher, codec: str) -> None:
    await place.make()
    producer = AIOKafkaProducer(bootstrap_servers=place.kafka.bootstrap, compression_type=codec)
    await producer.start()
    await producer.send_and_wait(place.topic, b"packed" * 100, key=b"k")
    await producer.stop()
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert reader.values == [b"packed" * 100, b"last"]


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
async def test_a_record_that_unfolds_without_end_is_parked(place: Place, publisher: KafkaPublisher, codec: str) -> None:
    await place.make()
    size = MAX_BYTES + 1
    producer = AIOKafkaProducer(
        bootstrap_servers=place.kafka.bootstrap, compression_type=codec, max_request_size=2 * size
    )
    await producer.start()
    await producer.send_and_wait(place.topic, bytes(size), key=b"k")
    await producer.stop()
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert reader.values == [b"last"]
    (letter,) = await place.dead_letters()
    assert letter[REASON_HEADER].startswith(b"unreadable: UnfoldsTooLarge")


ODD: dict[str, Odd] = {
    "null key": (None, b"v", NOW_MS, ()),
    "null value": (b"k", None, NOW_MS, ()),
    "empty value": (b"k", b"", NOW_MS, ()),
    "key of any bytes": (b"\xff\xfe\x00", b"v", NOW_MS, ()),
    "header without a value": (b"k", b"v", NOW_MS, (("traceparent", None),)),
    "header of any bytes": (b"k", b"v", NOW_MS, (("traceparent", b"\xff\x00" * 50),)),
    "header twice": (b"k", b"v", NOW_MS, (("traceparent", b"x"), ("traceparent", b"y"))),
    "huge header": (b"k", b"v", NOW_MS, (("traceparent", TRACE.encode() + b"-" + b"x" * 100_000),)),
    "no time": (b"k", b"v", -1, ()),
    "time long ago": (b"k", b"v", 1, ()),
    "time far ahead": (b"k", b"v", NOW_MS + DAY_MS * 400 * 365, ()),
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_record_is_handled(place: Place, publisher: KafkaPublisher, name: str) -> None:
    # The broker lets any time in, where it is told to.
    await place.make({"message.timestamp.after.max.ms": str(2**63 - 1), "retention.ms": "-1"})
    await place.send(batch(ODD[name]))
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    first = reader.came[0]
    assert (first.key, first.value) == (ODD[name][0] or b"", ODD[name][1])
    assert first.trace is None or len(first.trace) == len(TRACE)


@pytest.mark.parametrize("time_ms", [2**62, -(2**62), -2])
async def test_a_time_that_is_no_time_is_handled(place: Place, publisher: KafkaPublisher, time_ms: int) -> None:
    await place.make(
        {
            "message.timestamp.after.max.ms": str(2**63 - 1),
            "message.timestamp.before.max.ms": str(2**63 - 1),
            "retention.ms": "-1",
        }
    )
    try:
        await place.send(batch((b"k", b"v", time_ms, ())))
        sent = [b"v", b"last"]
    except Exception:
        sent = [b"last"]
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert reader.values == sent


async def test_the_brokers_own_time_is_handled(place: Place, publisher: KafkaPublisher) -> None:
    await place.make({"message.timestamp.type": "LogAppendTime"})
    await place.send(batch((b"k", b"v", -1, ())))
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert reader.came[0].time.timestamp() > NOW_MS / 1000 - 3600


async def test_a_header_name_that_is_no_text_hides_no_record(place: Place, publisher: KafkaPublisher) -> None:
    await place.make()
    odd: Odd = (b"k", b"odd", NOW_MS, (("name", b"said"),))
    await place.send(batch(PLAIN, odd, (b"k", b"after", NOW_MS, ()), change=replaced(b"name", b"\xff\xfe\xfd\xfc")))
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert reader.values == [b"plain", b"odd", b"after", b"last"]


def unknown_codec(made: bytearray) -> None:
    made[ATTRIBUTES_AT + 1] |= 7


def not_zstd(made: bytearray) -> None:
    made[ATTRIBUTES_AT + 1] |= 4


@pytest.mark.parametrize("change", [unknown_codec, not_zstd])
async def test_a_batch_that_cannot_be_unpacked_is_parked_and_is_not_met_again(
    place: Place, publisher: KafkaPublisher, monkeypatch: pytest.MonkeyPatch, change: object
) -> None:
    await place.make()
    await place.send(batch(PLAIN))
    await _write_behind_the_broker(monkeypatch, place, batch(PLAIN, PLAIN, change=change))  # type: ignore[arg-type]
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert reader.values == [b"plain", b"last"]
    async with Reader(place, publisher, reader.group) as again:
        await place.send(batch((b"k", b"last", NOW_MS, ())))
        await again.until_last()
    letters = await place.dead_letters()
    assert [(one[OFFSET_HEADER], one[PART_HEADER]) for one in letters] == [(b"1-2", b"batch")]
    assert letters[0][REASON_HEADER].startswith(b"unreadable")


async def _write_behind_the_broker(monkeypatch: pytest.MonkeyPatch, place: Place, raw: bytes) -> None:
    """The broker itself refuses such a batch, so that a good one is damaged in the answer to the client instead."""
    await place.send(batch(PLAIN, PLAIN))
    good = fetcher.MemoryRecords

    class Damaged(good):  # type: ignore[misc, valid-type]
        def __init__(self, data: bytes) -> None:
            changed, at = bytearray(data), 0
            while at + 12 <= len(changed):
                offset, length = (
                    int.from_bytes(changed[at : at + 8], "big"),
                    int.from_bytes(changed[at + 8 : at + 12], "big"),
                )
                if offset == 1 and at + 12 + length <= len(changed):
                    changed[at + 12 : at + 12 + length] = raw[12:]
                at += 12 + length
            super().__init__(bytes(changed))

    monkeypatch.setattr(fetcher, "MemoryRecords", Damaged)


async def test_a_batch_with_a_wrong_checksum_is_parked(
    place: Place, publisher: KafkaPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.make()
    await place.send(batch(PLAIN))
    spoilt = bytearray(batch(PLAIN, PLAIN))
    spoilt[RECORDS_AT + 8] ^= 0xFF
    await _write_behind_the_broker(monkeypatch, place, bytes(spoilt))
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert reader.values == [b"plain", b"last"]
    letters = await place.dead_letters()
    assert [one[OFFSET_HEADER] for one in letters] == [b"1-2"]
    assert b"checksum" in letters[0][REASON_HEADER]


async def test_transactions_leave_nothing_that_stops(place: Place, publisher: KafkaPublisher) -> None:
    await place.make()
    producer = AIOKafkaProducer(bootstrap_servers=place.kafka.bootstrap, transactional_id=secrets.token_hex(4))
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(place.topic, b"committed", key=b"k")
    await producer.begin_transaction()
    await producer.send_and_wait(place.topic, b"aborted", key=b"k")
    await producer.abort_transaction()
    await producer.stop()
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert b"committed" in reader.values


async def test_a_record_larger_than_a_fetch_is_handled_and_parked_by_its_head(
    place: Place, publisher: KafkaPublisher
) -> None:
    await place.make({"max.message.bytes": str(8 << 20)})
    await place.send(batch((b"k", b"x" * (3 << 20), NOW_MS, ())))
    await place.send(LAST)

    class Refusing(Reader):
        async def _handle(self, records: Sequence[Incoming]) -> None:
            if any(len(record.value or b"") > 100 for record in records):
                raise ValueError("\ud800" + "no" * 10_000)
            await super()._handle(records)

    async with Refusing(place, publisher) as reader:
        await reader.until_last()
    letters = await place.dead_letters()
    assert [one[PART_HEADER] for one in letters] == [f"cut of {3 << 20}".encode()]


async def test_a_handler_whose_own_wait_was_cancelled_parks_like_others(
    place: Place, publisher: KafkaPublisher
) -> None:
    await place.make()
    await place.send(batch(PLAIN))
    await place.send(LAST)

    class Cancelling(Reader):
        async def _handle(self, records: Sequence[Incoming]) -> None:
            if any(record.value == b"plain" for record in records):
                raise asyncio.CancelledError
            await super()._handle(records)

    async with Cancelling(place, publisher) as reader:
        await reader.until_last()
    assert [b"cancelled" in one[REASON_HEADER] for one in await place.dead_letters()] == [True]


async def test_a_topic_made_anew_is_read_from_its_start(place: Place, publisher: KafkaPublisher) -> None:
    await place.make()
    for _ in range(5):
        await place.send(batch(PLAIN))
    async with Reader(place, publisher) as reader:
        await until(lambda: len(reader.came) == 5)
    await place.admin.delete_topics([place.topic])

    async def is_gone() -> bool:
        return bool((await place.admin.describe_topics([place.topic]))[0]["error_code"])

    await eventually(is_gone)
    await place.make()
    await place.send(LAST)
    async with Reader(place, publisher, reader.group) as again:
        await again.until_last()


async def test_what_is_done_to_a_topic_while_it_is_read_is_noticed(place: Place, publisher: KafkaPublisher) -> None:
    # At once, since the client looks for news of topics each half minute.
    await asyncio.gather(
        _partitions_that_are_added_are_read(place, publisher),
        _a_topic_that_is_made_anew_is_read_from_its_beginning(Place(place.admin, place.kafka), publisher),
    )


async def _partitions_that_are_added_are_read(place: Place, publisher: KafkaPublisher) -> None:
    await place.make()
    await place.send(batch(PLAIN))
    async with Reader(place, publisher) as reader:
        await until(lambda: reader.came)
        await place.admin.create_partitions({place.topic: NewPartitions(2)})

        async def is_sent() -> bool:
            try:
                await send_raw(place.kafka.bootstrap, TopicPartition(place.topic, 1), LAST)
            except Exception:
                return False
            return True

        await eventually(is_sent)
        await reader.until_last()


async def _a_topic_that_is_made_anew_is_read_from_its_beginning(place: Place, publisher: KafkaPublisher) -> None:
    await place.make()
    for _ in range(3):
        await place.send(batch(PLAIN, PLAIN))
    async with Reader(place, publisher) as reader:
        await until(lambda: len(reader.came) == 6, what="the records of the first topic")
        await place.admin.delete_topics([place.topic])

        async def is_made() -> bool:
            try:
                await place.make()
            except Exception:
                return False
            return True

        await eventually(is_made, what="the topic of the same name")
        await place.send(LAST)
        await reader.until_last()


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("size", [5_000, 2 << 20])
async def test_a_record_that_the_broker_never_takes_is_told_and_stops_nothing(
    place: Place, *, idempotent: bool, size: int
) -> None:
    """5,000 bytes are refused by the broker, 2 MiB by the client."""
    await place.make({"max.message.bytes": "2000"})
    publisher = KafkaPublisher(KafkaConfig(place.kafka.bootstrap, idempotent, 3000, 10))
    await publisher.start()
    await publisher.wait_connected()
    try:
        large, small = Outgoing(place.topic, b"k", b"x" * size), Outgoing(place.topic, b"k", b"small")
        with pytest.raises(RecordRefused) as refused:
            await publisher.publish([small, large, small])
        assert list(refused.value.records) == [large]
        for _ in range(3):

            async def is_taken() -> bool:
                try:
                    await publisher.publish([small])
                except BusUnavailable:
                    return False
                return True

            await eventually(is_taken)
    finally:
        await publisher.stop()


@pytest.mark.parametrize("idempotent", [True, False])
async def test_those_of_a_batch_that_the_broker_refuses_still_come_before_what_follows(
    place: Place, publisher: KafkaPublisher, *, idempotent: bool
) -> None:
    """The client makes batches of 16 KiB: the first one is refused as too large, the rest in the next one is not."""
    await place.make({"max.message.bytes": "12000"})
    sent = [f"{number:04}".encode() + bytes(500) for number in range(40)]
    mine = KafkaPublisher(KafkaConfig(place.kafka.bootstrap, idempotent, 3000, 10))
    await mine.start()
    await mine.wait_connected()
    try:
        await mine.publish([Outgoing(place.topic, b"k", value) for value in sent])
    finally:
        await mine.stop()
    await place.send(LAST)
    async with Reader(place, publisher) as reader:
        await reader.until_last()
    assert reader.values == [*sent, b"last"]
