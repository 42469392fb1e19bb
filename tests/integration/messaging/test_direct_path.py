"""A message between two people goes to them straight from the outbox."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from parley.gateway.v1 import service_pb2 as gateway
from parley.presence.v1 import events_pb2 as presence

from services.messaging.conversations.consumer import FanOut
from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import ChangeStamp, Settings
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import ConversationNotFound
from services.messaging.kernel.model import (
    ConversationId,
    Draft,
    MessageId,
    UserId,
    open_direct,
)
from services.messaging.kernel.quotas import day_quota
from services.messaging.receipts.sql import PostgresReceipts
from services.messaging.wire.deliveries import deliveries_at_once, direct_deliveries
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.kafka.bus import Incoming, Outgoing
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import SHARDS, OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.db import connected
from tests.support.messaging_postgres import PostgresStore
from tests.support.messaging_world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONVERSATION = ConversationId(UUID(int=1))
ALICE, BOB = UserId("alice"), UserId("bob")


@dataclass
class Line:
    """A store, and what its relay published."""

    store: PostgresStore
    receipts: PostgresReceipts
    relay: OutboxRelay
    publisher: MemoryPublisher
    # What was handed over right after the commit.
    handed: list[Outgoing]

    async def told(self) -> list[tuple[str, str, int]]:
        """Publish, then: who, of what, of which seq or cursor."""
        await self.relay.publish_shards(range(SHARDS))
        found = []
        for record in self.publisher.records:
            if record.topic == "delivery.v1":
                delivery = presence.Delivery.FromString(record.value or b"")
                event = gateway.SubscribeResponse.FromString(delivery.frame).event
                if event.HasField("own_state"):
                    continue
                found.append(
                    (delivery.user_id, event.WhichOneof("event") or "", event.message.seq or event.read.read_seq)
                )
        return found

    def events(self) -> list[Incoming]:
        """What the fan-out reads."""
        records = [record for record in self.publisher.records if record.topic == "messaging.events.v1"]
        return [Incoming(record.topic, 0, 0, record.key, record.value, NOW, None) for record in records]


@pytest.fixture
async def line(migrated_url: str) -> AsyncIterator[Line]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=4), MIGRATIONS)) as database:
        publisher, handed = MemoryPublisher(), list[Outgoing]()

        def hand_over(record: Outgoing) -> bool:
            handed.extend(deliveries_at_once(record))
            return True

        relay = OutboxRelay(database, publisher, direct_deliveries, hand_over)
        store, receipts = PostgresStore(database, relay, new_id), PostgresReceipts(database, relay, new_id)
        yield Line(store, receipts, relay, publisher, handed)


def draft(number: int) -> Draft:
    return Draft(MessageId(UUID(int=50 + number)), CONVERSATION, ALICE, f"k{number}", NOW, Text("hello"))


async def test_whatever_happens_between_two_people_is_told_to_both_in_order_without_the_fan_out(line: Line) -> None:
    await line.store.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, day_quota(ALICE, 9, NOW))
    await line.store.append([draft(1), draft(2)])
    await line.receipts.move_read_cursor(CONVERSATION, BOB, 2, NOW)
    expected = [("conversation", 0), ("message", 1), ("message", 2), ("read", 2)]
    told = await line.told()
    assert [(event, at) for user, event, at in told if user == ALICE] == expected
    assert [(event, at) for user, event, at in told if user == BOB] == expected


async def test_messages_and_cursors_are_handed_over_as_they_are_published_later(line: Line) -> None:
    await line.store.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, day_quota(ALICE, 9, NOW))
    # The first rests on what the database says, the others on what is remembered.
    for numbers in ((1,), (2, 3), (3,)):
        await line.store.append([draft(number) for number in numbers])
    await line.receipts.move_read_cursor(CONVERSATION, BOB, 2, NOW)
    await line.receipts.move_delivered_cursors(BOB, {CONVERSATION: 3}, NOW, 32)
    expected = [("message", 1), ("message", 2), ("message", 3), ("read", 2), ("read", 0)]
    assert [(event, at) for user, event, at in await line.told() if user == ALICE][1:] == expected
    published = [record for record in line.publisher.records if record.topic == "delivery.v1"]
    with_id = [record for record in published if presence.Delivery.FromString(record.value or b"").delivery_id]
    assert len(with_id) == 2 * len(expected)
    assert sorted(line.handed, key=lambda record: record.key) == sorted(with_id, key=lambda record: record.key)


async def test_what_was_refused_or_rolled_back_is_not_handed_over(line: Line) -> None:
    await line.store.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, day_quota(ALICE, 9, NOW))
    stranger = replace(draft(1), sender_id=UserId("mallory"))
    [refused] = await line.store.append([stranger])
    assert isinstance(refused, ConversationNotFound)
    assert line.handed == []


async def test_the_fan_out_leaves_out_what_was_told_already(line: Line) -> None:
    await line.store.open_direct(open_direct(CONVERSATION, ALICE, BOB, NOW), ALICE, day_quota(ALICE, 9, NOW))
    await line.store.append([draft(1)])
    assert await line.told()
    again = MemoryPublisher()
    await FanOut(World(capacity=5).store, again).handle(line.events())
    assert again.records == []


async def test_a_group_is_told_by_the_fan_out_alone(line: Line) -> None:
    made = groups.create_group(CONVERSATION, ALICE, [BOB], Settings("Trip"), NOW)
    await line.store.create_group(made, "k", ChangeStamp(MessageId(UUID(int=2)), ALICE, NOW), day_quota(ALICE, 9, NOW))
    await line.store.append([draft(1)])
    assert await line.told() == []
    assert len(line.events()) == 3
