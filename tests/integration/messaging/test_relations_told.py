"""Who is told of what when relations change, as it stands in the outbox: gateways ask anew, and nobody learns of
another's block."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from parley.gateway.v1 import messages_pb2 as gateway
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.messaging.v1 import events_pb2, messages_pb2
from parley.presence.v1 import events_pb2 as presence

from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import Settings as GroupSettings
from services.messaging.kernel.model import Conversation, ConversationId, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.receipts.sql import PostgresReceipts
from services.messaging.relations.core.graph import GraphEvent, GraphEventKind
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.wire.deliveries import direct_deliveries
from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import SHARDS, OutboxRelay
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.db import connected
from tests.support.messaging_postgres import PostgresRelations, PostgresStore
from tests.support.messaging_store import ALICE, BOB, CAROL, opened, quota, stamp, text

PENDING, DECLINED = messages_pb2.REQUEST_STATE_PENDING, messages_pb2.REQUEST_STATE_DECLINED
LET_IN = messages_pb2.REQUEST_STATE_UNSPECIFIED


@dataclass
class Town:
    """The stores of one database, and what their relay publishes."""

    store: PostgresStore
    relations: PostgresRelations
    receipts: PostgresReceipts
    relay: OutboxRelay
    publisher: MemoryPublisher
    clock: ManualClock

    async def told(self) -> list[presence.Delivery]:
        """The deliveries since the last time, in order."""
        self.publisher.records.clear()
        await self.relay.publish_shards(range(SHARDS))
        records = [record for record in self.publisher.records if record.topic == "delivery.v1"]
        deliveries = [presence.Delivery.FromString(record.value or b"") for record in records]
        assert [record.key.decode() for record in records] == [delivery.user_id for delivery in deliveries]
        return deliveries

    async def closed(self) -> list[str]:
        """The conversations that other services heard of as closed since the last time."""
        self.publisher.records.clear()
        await self.relay.publish_shards(range(SHARDS))
        values = [record.value or b"" for record in self.publisher.records if record.topic == "messaging.events.v1"]
        events = [events_pb2.ConversationEvent.FromString(value) for value in values]
        return [event.conversation_id for event in events if event.HasField("pair_closed")]

    async def waiting(self) -> Conversation:
        """Alice's conversation with Bob, in his Requests; all of it told."""
        await self.relations.change_settings(BOB, SettingsChange(messages=Audience.FOLLOWED), self.clock.now())
        conversation = await opened(self.store, self.clock)
        await self.told()
        return conversation


@pytest.fixture
async def town(migrated_url: str) -> AsyncIterator[Town]:
    async with connected(Database(DatabaseConfig(migrated_url, pool_size=4), MIGRATIONS)) as database:
        publisher = MemoryPublisher()
        relay = OutboxRelay(database, publisher, direct_deliveries)
        store = PostgresStore(database, relay, new_id)
        relations, receipts = PostgresRelations(database, relay.wake), PostgresReceipts(database, relay, new_id)
        yield Town(store, relations, receipts, relay, publisher, ManualClock())


def event_of(delivery: presence.Delivery) -> gateway.DeviceEvent:
    return gateway_service.SubscribeResponse.FromString(delivery.frame).event


def changes(deliveries: list[presence.Delivery]) -> set[tuple[str, str]]:
    """Whose gateways ask anew, and what the person's devices read."""
    assert all(delivery.relations_changed for delivery in deliveries)
    return {(delivery.user_id, event_of(delivery).WhichOneof("event") or "") for delivery in deliveries}


async def test_of_a_block_both_gateways_hear_and_only_the_blockers_devices_read(town: Town) -> None:
    await opened(town.store, town.clock)
    await town.told()
    await town.relations.block(BOB, ALICE, 9, town.clock.now())
    assert changes(await town.told()) == {(BOB, "relations"), (ALICE, "")}
    await town.relations.block(BOB, ALICE, 9, town.clock.now())
    assert await town.told() == []
    await town.relations.unblock(BOB, ALICE, town.clock.now())
    assert changes(await town.told()) == {(BOB, "relations"), (ALICE, "")}
    await town.relations.apply_graph_events([GraphEvent(GraphEventKind.BLOCKS, BOB, ALICE, True, town.clock.now())])
    assert changes(await town.told()) == {(BOB, "relations"), (ALICE, "")}


async def test_other_services_hear_of_a_pair_that_a_block_closed_and_of_nothing_more(town: Town) -> None:
    conversation = await opened(town.store, town.clock)
    assert await town.closed() == []
    await town.relations.block(BOB, ALICE, 9, town.clock.now())
    assert await town.closed() == [str(conversation.id)]
    # It is closed already; the other's block and the network's change nothing.
    await town.relations.block(ALICE, BOB, 9, town.clock.now())
    await town.relations.apply_graph_events([GraphEvent(GraphEventKind.BLOCKS, BOB, ALICE, True, town.clock.now())])
    assert await town.closed() == []
    await town.relations.unblock(ALICE, BOB, town.clock.now())
    await town.relations.unblock(BOB, ALICE, town.clock.now())
    town.clock.advance(1)
    await town.relations.apply_graph_events([GraphEvent(GraphEventKind.BLOCKS, BOB, ALICE, False, town.clock.now())])
    assert await town.closed() == []
    town.clock.advance(1)
    await town.relations.apply_graph_events([GraphEvent(GraphEventKind.BLOCKS, ALICE, BOB, True, town.clock.now())])
    assert await town.closed() == [str(conversation.id)]
    # They have no conversation.
    await town.relations.block(CAROL, BOB, 9, town.clock.now())
    assert await town.closed() == []


async def test_who_changes_who_sees_presence_has_all_contacts_ask_anew(town: Town) -> None:
    await opened(town.store, town.clock)
    await opened(town.store, town.clock, CAROL, BOB)
    await town.told()
    await town.relations.change_settings(ALICE, SettingsChange(presence=Audience.NOBODY), town.clock.now())
    assert changes(await town.told()) == {(ALICE, "relations"), (BOB, "")}
    await town.relations.change_settings(ALICE, SettingsChange(calls=Audience.NOBODY), town.clock.now())
    assert changes(await town.told()) == {(ALICE, "relations")}
    await town.relations.change_settings(ALICE, SettingsChange(calls=Audience.NOBODY), town.clock.now())
    assert await town.told() == []


async def test_a_follow_is_told_where_presence_depends_on_it(town: Town) -> None:
    def follows(user: UserId) -> GraphEvent:
        town.clock.advance(1)
        return GraphEvent(GraphEventKind.FOLLOWS, user, BOB, True, town.clock.now())

    await town.relations.change_settings(ALICE, SettingsChange(presence=Audience.FOLLOWED), town.clock.now())
    await town.told()
    await town.relations.apply_graph_events([follows(ALICE), follows(CAROL)])
    assert changes(await town.told()) == {(ALICE, ""), (BOB, "")}


async def test_a_device_knows_that_a_conversation_waits_before_it_hears_of_it(town: Town) -> None:
    await town.relations.change_settings(BOB, SettingsChange(messages=Audience.FOLLOWED), town.clock.now())
    await town.told()
    conversation = await opened(town.store, town.clock)
    await town.store.append([text(town.clock, conversation, "1")])
    bobs = [event_of(delivery) for delivery in await town.told() if delivery.user_id == BOB]
    assert [event.WhichOneof("event") for event in bobs] == ["own_state", "conversation", "message"]
    assert bobs[0].own_state.own_state.request == PENDING
    assert bobs[0].own_state.conversation_id == bobs[1].conversation.conversation_id


async def test_those_with_whom_a_group_waits_know_it_first(town: Town) -> None:
    made = groups.create_group(
        ConversationId(UUID(int=7)), ALICE, [BOB], GroupSettings("Trip"), town.clock.now(), {BOB: RequestState.PENDING}
    )
    conversation = await town.store.create_group(made, "k", stamp(town.clock), quota(town.clock))
    await town.store.change_group(
        conversation.id,
        lambda group: groups.add_members(group, ALICE, [CAROL], town.clock.now(), 9, {CAROL: RequestState.PENDING}),
        stamp(town.clock),
    )
    await town.relay.publish_shards(range(SHARDS))
    ordered = [(record.topic, record.key.decode()) for record in town.publisher.records]
    news = ("messaging.events.v1", str(conversation.id))
    assert ordered == [("delivery.v1", BOB), news, news, ("delivery.v1", CAROL), news, news]


async def test_accepting_is_told_to_ones_own_devices_and_has_the_others_gateways_ask_anew(town: Town) -> None:
    conversation = await town.waiting()
    await town.relations.accept(conversation.id, BOB, town.clock.now())
    told = await town.told()
    assert changes(told) == {(BOB, "own_state"), (ALICE, "")}
    assert [event_of(one).own_state.own_state.request for one in told if one.user_id == BOB] == [LET_IN]
    await town.relations.accept(conversation.id, BOB, town.clock.now())
    assert await town.told() == []


async def test_declining_is_told_to_ones_own_devices_alone_and_later_messages_to_none_of_them(town: Town) -> None:
    conversation = await town.waiting()
    await town.relations.decline(conversation.id, BOB, town.clock.now())
    told = await town.told()
    assert changes(told) == {(BOB, "own_state")}
    assert event_of(told[0]).own_state.own_state.request == DECLINED
    await town.store.append([text(town.clock, conversation, "1")])
    assert [delivery.user_id for delivery in await town.told()] == [ALICE]


async def test_who_writes_in_what_was_declined_hears_of_it_again(town: Town) -> None:
    conversation = await town.waiting()
    await town.relations.decline(conversation.id, BOB, town.clock.now())
    await town.told()
    await town.store.append([text(town.clock, conversation, "1", BOB)])
    bobs = [event_of(delivery) for delivery in await town.told() if delivery.user_id == BOB]
    assert {event.WhichOneof("event") for event in bobs} == {"own_state", "message"}


async def test_reading_a_request_or_under_a_block_is_told_to_ones_own_devices_alone(town: Town) -> None:
    conversation = await town.waiting()
    await town.store.append([text(town.clock, conversation, str(number)) for number in range(2)])
    await town.told()
    await town.receipts.move_read_cursor(conversation.id, BOB, 1, town.clock.now())
    assert {delivery.user_id for delivery in await town.told()} == {BOB}
    await town.relations.accept(conversation.id, BOB, town.clock.now())
    await town.relations.block(ALICE, BOB, 9, town.clock.now())
    await town.told()
    await town.receipts.move_read_cursor(conversation.id, BOB, 2, town.clock.now())
    assert {delivery.user_id for delivery in await town.told()} == {BOB}
