"""Farewells that others take, on a real broker."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.partitioner import murmur2

from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable
from services.runtime.kafka import rebalancing
from services.runtime.kafka.bus import Incoming, Outgoing
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.groups import KafkaGroup
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from tests.support.bus import MemoryPublisher
from tests.support.waiting import eventually, until

TOPIC = "delivery.v1"
PARTITIONS = 16
# The least that Apache Kafka takes.
SESSION_TIMEOUT_MS = 6_000


class Member:
    """What a member of the group was given, and as whom."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.may_go_on = asyncio.Event()
        if not hangs:
            self.may_go_on.set()
        self.owned: list[int] = []
        self.member_ids: list[str] = []
        self.partition_count = 0
        self.keys: set[bytes] = set()

    async def on_assigned(self, partitions: Collection[int], partition_count: int, member_id: str) -> None:
        self.owned, self.partition_count = sorted(partitions), partition_count
        self.member_ids.append(member_id)
        # Until then the client sends no heartbeat: to the group it is as good as dead.
        await self.may_go_on.wait()

    async def on_revoked(self) -> None:
        self.owned = []

    async def handle(self, records: Sequence[Incoming]) -> None:
        self.keys |= {record.key for record in records}

    @property
    def owns_all(self) -> bool:
        return self.partition_count > 0 and len(self.owned) == self.partition_count


@pytest.fixture
def config(broker: str) -> KafkaConfig:
    return KafkaConfig(broker, idempotent=False, session_timeout_ms=SESSION_TIMEOUT_MS, fetch_wait_ms=10)


@pytest.fixture
def name() -> str:
    return f"test-{secrets.token_hex(8)}"


def partition_of(key: bytes) -> int:
    """As Kafka's default partitioner has it, of a topic with PARTITIONS."""
    return int((murmur2(key) & 0x7FFFFFFF) % PARTITIONS)


@asynccontextmanager
async def joined(config: KafkaConfig, name: str, member: Member, topic: str = TOPIC) -> AsyncIterator[KafkaConsumer]:
    consumer = KafkaConsumer(config, Subscription((topic,), name), member.handle, MemoryPublisher(), member)
    await consumer.start()
    try:
        yield consumer
    finally:
        # A client whose listener hangs does not stop: it would be left behind.
        member.may_go_on.set()
        await consumer.stop()


async def test_the_partitions_of_a_dead_member_move_when_somebody_takes_leave_for_it(
    config: KafkaConfig, name: str
) -> None:
    living, dead = Member(), Member(hangs=True)
    async with joined(config, name, living):
        await until(lambda: living.owns_all)
        async with joined(config, name, dead):
            await until(lambda: living.owned and dead.owned and not living.owns_all)
            await KafkaGroup(config, name).expel(dead.member_ids[-1])
            await until(lambda: living.owns_all)


async def test_a_member_that_lives_joins_anew_under_another_id_when_it_was_given_up(
    config: KafkaConfig, name: str
) -> None:
    member = Member()
    async with joined(config, name, member):
        await until(lambda: member.owns_all)
        await KafkaGroup(config, name).expel(member.member_ids[0])
        await until(lambda: len(member.member_ids) > 1 and member.owns_all)
    assert member.member_ids[0] != member.member_ids[-1]


async def test_who_is_not_in_the_group_or_has_left_it_is_passed_over(config: KafkaConfig, name: str) -> None:
    member = Member()
    async with joined(config, name, member):
        await until(lambda: member.owns_all)
        await KafkaGroup(config, name).expel("nobody")
    await KafkaGroup(config, name).expel(member.member_ids[0])


async def test_without_a_broker_nobody_is_expelled() -> None:
    config = KafkaConfig("127.0.0.1:9", idempotent=False, session_timeout_ms=3000, fetch_wait_ms=10)
    with pytest.raises(BusUnavailable):
        await KafkaGroup(config, "presence").expel("somebody")


async def test_who_is_given_partitions_reads_them_although_a_fetch_of_those_before_still_waits(
    config: KafkaConfig, name: str, publisher: KafkaPublisher
) -> None:
    # Far beyond the wait below: a fetch that the broker holds is not what the test waits for.
    patient = replace(config, fetch_wait_ms=600_000)
    staying, leaving = Member(), Member()
    some = [b"%s-%d" % (name.encode(), number) for number in range(50)]
    async with joined(patient, name, staying):
        await until(lambda: staying.owns_all)
        async with joined(patient, name, leaving):
            await until(lambda: leaving.owned and not staying.owns_all)
            given = set(leaving.owned)
            kept = next(key for key in some if partition_of(key) not in given)
            await publisher.publish([Outgoing(TOPIC, kept, b"")])
            # The fetch after this one waits, on the one connection that the client fetches by.
            await until(lambda: kept in staying.keys)
        await until(lambda: staying.owns_all)
        # Only there: a record in a partition that it had before would end the fetch that waits.
        keys = {key for key in some if partition_of(key) in given}
        await publisher.publish([Outgoing(TOPIC, key, b"") for key in keys])
        await until(lambda: keys <= staying.keys, what=f"all of {len(keys)} keys in {sorted(given)}")


async def test_a_consumer_that_rests_while_nothing_comes_reads_on_when_something_does(
    config: KafkaConfig, name: str, publisher: KafkaPublisher
) -> None:
    member = Member()
    async with joined(replace(config, idle_pause_ms=50), name, member):
        await until(lambda: member.owns_all)
        for number in range(3):
            key = f"{name}-{number}".encode()
            await publisher.publish([Outgoing(TOPIC, key, b"")])
            await until(lambda key=key: key in member.keys, what=f"the record {number}")


async def test_all_members_learn_that_a_topic_has_more_partitions(
    config: KafkaConfig, broker: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client has only the leader of a group look for them: another member, who knew of fewer, would go on with as
    many."""
    # Long after the test, until then.
    monkeypatch.setattr(rebalancing, "GROWN_PAUSE_S", 600.0)
    leader, other = Member(), Member()
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1)])
        async with joined(config, name, leader, name) as consumer:
            await until(lambda: leader.owns_all)
            async with joined(config, name, other, name):
                await until(lambda: leader.owned and other.owned and not leader.owns_all)
                await admin.create_partitions({name: NewPartitions(6)})
                client = consumer._client
                assert client is not None

                async def has_looked() -> bool:
                    # As it does each half minute.
                    await client._client.force_metadata_update()
                    return len(client.partitions_for_topic(name)) == 6

                await eventually(has_looked)
                await until(lambda: len(leader.owned) + len(other.owned) == 6)
                assert (leader.partition_count, other.partition_count) == (6, 6)
                # As when all producers know it, too.
                times = len(leader.member_ids), len(other.member_ids)
                client._coordinator.request_rejoin()
                await until(lambda: len(leader.member_ids) > times[0] and len(other.member_ids) > times[1])
    finally:
        await admin.close()


async def members_of(broker: str, group: str) -> int:
    """How many members the coordinator counts, those who are only joining too."""
    client = AIOKafkaAdminClient(bootstrap_servers=broker)
    await client.start()
    try:
        (response,) = await client.describe_consumer_groups([group])
        ((_, _, _, _, _, members, *_),) = response.groups
        return len(members)
    finally:
        await client.close()


async def test_who_stops_while_the_group_takes_it_in_is_gone_from_it(
    config: KafkaConfig, broker: str, name: str
) -> None:
    # The first learns of the second at its next heartbeat, and until then nobody is taken in.
    patient = Subscription((TOPIC,), name, background=True)
    first, second = (KafkaConsumer(config, patient, Member().handle, MemoryPublisher()) for _ in range(2))
    await first.start()
    try:
        await eventually(first.ready)
        await second.start()

        async def are_two() -> bool:
            return await members_of(broker, name) == 2

        await eventually(are_two)
        await second.stop()
        assert await members_of(broker, name) == 1
    finally:
        await first.stop()
