"""The fan-out shares its work among replicas."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from parley.gateway.v1 import service_pb2 as gateway
from parley.presence.v1 import events_pb2 as presence

from services.messaging.conversations.consumer import FanOut
from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import ChangeStamp, Settings
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import ConversationId, Message, MessageId, UserId
from services.messaging.kernel.quotas import day_quota
from services.messaging.wire import topics
from services.messaging.wire.events import message_sent
from services.runtime.config import KafkaConfig
from services.runtime.kafka.bus import Outgoing
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from tests.support.bus import MemoryPublisher
from tests.support.messaging_world import World
from tests.support.waiting import until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE, BOB = UserId("alice"), UserId("bob")
CONVERSATIONS = 48
MESSAGES = 5
PARTITIONS = 16


@dataclass
class Replica:
    """One member of the fan-out's group, and what it told."""

    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    partitions: Collection[int] = ()

    async def on_assigned(self, partitions: Collection[int], partition_count: int, member_id: str) -> None:
        self.partitions = partitions

    async def on_revoked(self) -> None:
        self.partitions = ()

    def told(self) -> dict[tuple[str, str], list[int]]:
        """The seqs told of each conversation to each person, in order."""
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for record in self.publisher.records:
            delivery = presence.Delivery.FromString(record.value or b"")
            message = gateway.SubscribeResponse.FromString(delivery.frame).event.message
            found[message.conversation_id, delivery.user_id].append(message.seq)
        return found


@asynccontextmanager
async def running(kafka: KafkaConfig, world: World, count: int) -> AsyncIterator[list[Replica]]:
    """Replicas that have shared the partitions evenly."""
    replicas = [Replica() for _ in range(count)]
    subscription = Subscription((topics.EVENTS,), f"fan-out-{uuid4()}")
    async with AsyncExitStack() as stack:
        for replica in replicas:
            fan_out = FanOut(world.store, replica.publisher)
            consumer = KafkaConsumer(kafka, subscription, fan_out.handle, replica.publisher, replica)
            await consumer.start()
            stack.push_async_callback(consumer.stop)
        await until(lambda: all(len(replica.partitions) == PARTITIONS // count for replica in replicas))
        yield replicas


async def found_groups(world: World) -> list[ConversationId]:
    conversations = [ConversationId(uuid4()) for _ in range(CONVERSATIONS)]
    for conversation in conversations:
        made = groups.create_group(conversation, ALICE, [BOB], Settings("Trip"), NOW)
        await world.store.create_group(
            made, str(conversation), ChangeStamp(MessageId(uuid4()), ALICE, NOW), day_quota(ALICE, 99, NOW)
        )
    return conversations


def sent(conversation: ConversationId, seq: int) -> Outgoing:
    message = Message(MessageId(uuid4()), conversation, seq, ALICE, f"k{seq}", NOW, Text("hello"))
    return Outgoing(topics.EVENTS, str(conversation).encode(), message_sent(message))


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_each_replica_tells_its_share_in_order_and_together_they_tell_everything(
    kafka: KafkaConfig, publisher: KafkaPublisher, count: int
) -> None:
    world = World(capacity=5)
    conversations = await found_groups(world)
    async with running(kafka, world, count) as replicas:
        await publisher.publish(
            [sent(conversation, seq) for seq in range(2, 2 + MESSAGES) for conversation in conversations]
        )
        expected = CONVERSATIONS * MESSAGES * 2
        await until(lambda: sum(len(replica.publisher.records) for replica in replicas) >= expected)
    everything: dict[tuple[str, str], list[int]] = {}
    for replica in replicas:
        told = replica.told()
        assert told, "a replica without work"
        assert not everything.keys() & told.keys(), "a conversation told by two replicas"
        everything |= told
    assert everything == {
        (str(conversation), user): list(range(2, 2 + MESSAGES))
        for conversation in conversations
        for user in (ALICE, BOB)
    }
