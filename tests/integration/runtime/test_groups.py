"""Farewells that others take, on a real broker."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import pytest

from services.runtime.bus import Incoming
from services.runtime.config import KafkaConfig
from services.runtime.consumer import KafkaConsumer, Subscription
from services.runtime.errors import BusUnavailable
from services.runtime.groups import KafkaGroup
from tests.support.bus import MemoryPublisher
from tests.support.waiting import until

TOPIC = "delivery.v1"
# The least that Apache Kafka takes.
SESSION_TIMEOUT_MS = 6_000


class Member:
    """What a member of the group was given, and as whom."""

    def __init__(self, *, hangs: bool = False) -> None:
        self._hangs = hangs
        self.owned: list[int] = []
        self.member_ids: list[str] = []
        self.partition_count = 0

    async def on_assigned(self, partitions: Collection[int], partition_count: int, member_id: str) -> None:
        self.owned, self.partition_count = sorted(partitions), partition_count
        self.member_ids.append(member_id)
        if self._hangs:
            # Until then the client sends no heartbeat: to the group it is as good as dead.
            await asyncio.Event().wait()

    async def on_revoked(self) -> None:
        self.owned = []

    async def handle(self, records: Sequence[Incoming]) -> None:
        pass

    @property
    def owns_all(self) -> bool:
        return self.partition_count > 0 and len(self.owned) == self.partition_count


@pytest.fixture
def config(broker: str) -> KafkaConfig:
    return KafkaConfig(broker, idempotent=False, session_timeout_ms=SESSION_TIMEOUT_MS, fetch_wait_ms=10)


@pytest.fixture
def name() -> str:
    return f"test-{secrets.token_hex(8)}"


@asynccontextmanager
async def joined(config: KafkaConfig, name: str, member: Member) -> AsyncIterator[None]:
    consumer = KafkaConsumer(config, Subscription(TOPIC, name), member.handle, MemoryPublisher(), member)
    await consumer.start()
    try:
        yield
    finally:
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
