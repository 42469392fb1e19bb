"""The stages of the pipeline as the broker sees them: how far each group is, and what was parked."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError

from services.ops.core.topics import DEAD_LETTER_SUFFIX, STAGES, DeadLetter, Stage
from services.runtime.config import KafkaConfig
from services.runtime.identity.accounts import Standing, decode
from services.runtime.kafka import connection
from services.runtime.kafka.bus import REASON_HEADER, Outgoing
from services.runtime.kafka.dead_letters import HEADER_PREFIX, PART_HEADER
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.records import Unreadable, incoming, time_of
from services.runtime.partitions import partition_of

ACCOUNTS = "accounts.events.v1"
# For one record that the broker has; it answers at once unless it is about to be deleted.
READ_WITHIN_S = 5.0
# For what groups have committed, from a broker that is loading it. Raising it makes an operator wait for one that never
# does; lowering it gives up one that has much to load.
LOADED_WITHIN_S = 30.0
# Raising it answers later; lowering it asks a busy broker more often.
LOADING_RETRY_S = 0.5


class Broker:
    """Asks the broker, as a member of no group. Raises KafkaError, OSError and TimeoutError."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config

    async def stages(self, now: datetime, wanted: Sequence[tuple[str, str]] = STAGES) -> list[Stage]:
        """Each wanted (topic, group) with what waits for it, and how long the oldest has waited."""
        async with self._reader() as reader, self._admin() as admin:
            return [await _stage(reader, admin, topic, group, now) for topic, group in wanted]

    async def letters(self, topic: str, limit: int) -> list[DeadLetter]:
        """The newest dead letters of a topic, the oldest of them first."""
        async with self._reader() as reader:
            partition = TopicPartition(topic + DEAD_LETTER_SUFFIX, 0)
            end = (await reader.end_offsets([partition]))[partition]
            begin = (await reader.beginning_offsets([partition]))[partition]
            return [_letter(record) async for record in _records(reader, partition, max(begin, end - limit), end)]

    async def replay(self, topic: str, offset: int) -> DeadLetter | None:
        """Publish a dead letter to its topic again, with its key. It stays where it is.

        None when there is none, or when only a part of it is kept.

        All groups of the topic get it, as they get any repetition.
        """
        async with self._reader() as reader:
            partition = TopicPartition(topic + DEAD_LETTER_SUFFIX, 0)
            end = (await reader.end_offsets([partition]))[partition]
            records = [one async for one in _records(reader, partition, offset, min(offset + 1, end))]
        if not records or records[0].offset != offset:
            return None
        record = records[0]
        if isinstance(record.value, Unreadable) or any(name == PART_HEADER for name, _ in record.headers or ()):
            # Its value is not what the record was.
            return None
        headers = tuple(
            (name, value or b"") for name, value in record.headers or () if not name.startswith(HEADER_PREFIX)
        )
        publisher = KafkaPublisher(self._config)
        await publisher.start()
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                await publisher.wait_connected()
            await publisher.publish([Outgoing(topic, record.key or b"", record.value, headers)])
        finally:
            await publisher.stop()
        return _letter(record)

    async def deleted_users(self) -> list[str]:
        """Whose deletion accounts.events.v1 tells, by id: it keeps that for good."""
        found = {}
        async with self._reader() as reader, self._admin() as admin:
            partitions = [TopicPartition(ACCOUNTS, number) for number in await _partitions(admin, ACCOUNTS)]
            ends, begins = await reader.end_offsets(partitions), await reader.beginning_offsets(partitions)
            for partition in partitions:
                async for record in _records(reader, partition, begins[partition], ends[partition]):
                    user_id, standing = _account(record)
                    found[user_id] = standing is not None and standing.deleted
        return sorted(user_id for user_id, is_deleted in found.items() if is_deleted)

    async def keyed(self, topics: Sequence[str], key: str) -> list[tuple[str, bytes]]:
        """All records of a key that the topics still have: (topic, value), each topic in its order."""
        found = []
        async with self._reader() as reader, self._admin() as admin:
            for topic in topics:
                numbers = await _partitions(admin, topic)
                partition = TopicPartition(topic, numbers[partition_of(key, len(numbers))])
                end = (await reader.end_offsets([partition]))[partition]
                begin = (await reader.beginning_offsets([partition]))[partition]
                async for record in _records(reader, partition, begin, end):
                    if record.key == key.encode() and isinstance(record.value, bytes):
                        found.append((topic, record.value))
        return found

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        reader = AIOKafkaConsumer(
            **connection.client_options(self._config),
            enable_auto_commit=False,
            fetch_max_wait_ms=self._config.fetch_wait_ms,
        )
        await reader.start()
        try:
            yield reader
        finally:
            await reader.stop()

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**connection.client_options(self._config))
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


async def _stage(reader: AIOKafkaConsumer, admin: AIOKafkaAdminClient, topic: str, group: str, now: datetime) -> Stage:
    partitions = [TopicPartition(topic, number) for number in await _partitions(admin, topic)]
    ends, begins = await reader.end_offsets(partitions), await reader.beginning_offsets(partitions)
    committed = await committed_by(admin, group, partitions)
    # A group that has never committed begins at the start; one from before a broker that lost everything, too.
    behind = {
        partition: max(begins[partition], committed.get(partition, 0))
        for partition in partitions
        if max(begins[partition], committed.get(partition, 0)) < ends[partition]
    }
    oldest = [await _time(reader, partition, offset, ends[partition]) for partition, offset in behind.items()]
    waited = [(now - time).total_seconds() for time in oldest if time]
    records = sum(ends[partition] - offset for partition, offset in behind.items())
    return Stage(topic, group, records, max([0.0, *waited]), bool(committed))


async def _partitions(admin: AIOKafkaAdminClient, topic: str) -> Sequence[int]:
    # Not from the reader, which knows only topics that it reads.
    (described,) = await admin.describe_topics([topic])
    return sorted(partition["partition"] for partition in described["partitions"])


async def committed_by(
    admin: AIOKafkaAdminClient, group: str, partitions: Sequence[TopicPartition], retry_s: float = LOADING_RETRY_S
) -> Mapping[TopicPartition, int]:
    """What a group has committed. A broker that is loading it is waited for. Raises KafkaError, TimeoutError."""
    async with asyncio.timeout(LOADED_WITHIN_S):
        while True:
            try:
                return await _committed(admin, group, partitions)
            except GroupLoadInProgressError:
                await asyncio.sleep(retry_s)


async def _committed(
    admin: AIOKafkaAdminClient, group: str, partitions: Sequence[TopicPartition]
) -> Mapping[TopicPartition, int]:
    try:
        offsets = await admin.list_consumer_group_offsets(group, partitions=list(partitions))
    except GroupCoordinatorNotAvailableError:
        # A broker without groups creates the topic of their offsets when it is asked: nothing is committed yet.
        return {}
    if partitions and not offsets:
        # What is not committed is said of each partition, too (see CommittedOffsets).
        raise GroupLoadInProgressError(f"the broker is loading what {group} has committed")
    return {partition: at.offset for partition, at in offsets.items() if at.offset >= 0}


async def _time(reader: AIOKafkaConsumer, partition: TopicPartition, offset: int, end: int) -> datetime | None:
    async for record in _records(reader, partition, offset, end):
        return time_of(record.timestamp)
    return None


async def _records(
    reader: AIOKafkaConsumer, partition: TopicPartition, begin: int, end: int
) -> AsyncIterator[ConsumerRecord]:
    """What stands from one offset up to another; what was deleted meanwhile is left out."""
    if begin >= end:
        return
    reader.assign([partition])
    reader.seek(partition, begin)
    while True:
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                record = await reader.getone(partition)
        except TimeoutError:
            if await reader.position(partition) >= end:
                # The rest were no records: what ends a transaction has an offset too.
                return
            raise
        if record.offset >= end:
            return
        yield record
        if record.offset >= end - 1:
            return


def _account(record: ConsumerRecord) -> tuple[str, Standing | None]:
    """The user and account state that a record holds; no user when it cannot be read."""
    try:
        return decode(incoming(record)) if not isinstance(record.value, Unreadable) else ("", None)
    except ValueError:
        return "", None


def _letter(record: ConsumerRecord) -> DeadLetter:
    value = record.value.raw if isinstance(record.value, Unreadable) else record.value
    reasons = [said for name, said in record.headers or () if name == REASON_HEADER]
    return DeadLetter(
        offset=record.offset,
        time=time_of(record.timestamp),
        key=(record.key or b"").decode("utf-8", "backslashreplace"),
        size=len(value or b""),
        reason=(reasons[0] or b"").decode("utf-8", "backslashreplace") if reasons else "",
    )
