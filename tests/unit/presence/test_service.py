"""The shell around the router: what is kept, told and looked up, and what goes on when PostgreSQL or Kafka is away."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from parley.gateway.v1 import messages_pb2 as gateway
from parley.presence.v1 import events_pb2

from services.presence.consumer import Deliveries
from services.presence.core.arrivals import HOLD_S
from services.presence.core.model import (
    Deliver,
    Delivery,
    GatewayFrame,
    PresenceChange,
    RecheckWatches,
    StreamId,
    UserId,
)
from services.presence.core.router import Router
from services.presence.core.states import CallActivity, PresenceStatus, UserState
from services.presence.delivery_ways import DeliveryWays
from services.presence.failed_replicas import FailedReplicas
from services.presence.gateway_stream import GatewayStream
from services.presence.mapping import decode_delivery
from services.presence.ports import StateRow
from services.presence.publisher import TOPIC, KafkaFeed
from services.presence.service import GatewayReplaced, Presence
from services.presence.state_writer import Backlog, StateWriter
from services.runtime.errors import StoreUnavailable
from services.runtime.kafka.bus import Incoming, PoisonRecord
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.cut_off import cut_off
from tests.support.presence_group import MemoryGroup
from tests.support.presence_store import MemoryStates
from tests.support.waiting import until
from tests.unit.presence.routers import ALICE, BOB, OFFLINE, ONLINE, new_router, session


class World:
    """A replica that owns everything, with one gateway, and nothing that goes on by itself."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStates()
        self.publisher = MemoryPublisher()
        self.writer = StateWriter(self.store, KafkaFeed(self.publisher), interval_s=60)
        self.group = MemoryGroup()
        self.failed_replicas = FailedReplicas(self.group)
        self.presence = Presence(
            new_router(), self.writer, self.store, self.failed_replicas, self.clock, collect_s=0.05
        )
        self.ways = DeliveryWays(self.presence)
        self.stream = GatewayStream(1_000, "gateway-1")
        self.stream_id = StreamId(0)
        self.epoch = 1

    @property
    def router(self) -> Router:
        return self.presence.router

    async def begin(self) -> None:
        self.stream_id = self.presence.attach(self.stream)
        assigning = asyncio.create_task(self.ways.on_assigned(range(16), 16))
        await until(lambda: self.stream.queued == 2, what="the assignment")
        self.presence.apply(self.router.registered(self.stream_id, self.epoch))
        await assigning
        await self.told()

    async def told(self) -> list[GatewayFrame]:
        """What the gateway has been told since the last time."""
        return await anext(self.stream.batches()) if self.stream.queued else []

    def arrive(self, user_id: UserId, session_id: int = 1) -> None:
        self.presence.apply(
            self.router.register(self.stream_id, self.epoch, [session(session_id, user_id)], self.presence.now())
        )

    def feed(self) -> list[tuple[bytes, events_pb2.PresenceEvent | None]]:
        return [
            (record.key, events_pb2.PresenceEvent.FromString(record.value) if record.value else None)
            for record in self.publisher.records
            if record.topic == TOPIC
        ]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.begin()
    recalls = asyncio.create_task(world.presence.run_last_seen_loads())
    yield world
    recalls.cancel()


def record(delivery: events_pb2.Delivery, key: str = "") -> Incoming:
    value = delivery.SerializeToString()
    now = ManualClock().now()
    return Incoming("delivery.v1", 0, 0, (key or delivery.user_id).encode(), value, now, None)


async def test_states_of_a_second_are_written_in_one_statement_and_told_to_the_feed_once_a_user(world: World) -> None:
    for number in range(100):
        world.arrive(UserId(f"user-{number}"), number)
    world.presence.apply(world.router.unregister(world.stream_id, [7], world.presence.now()))
    world.arrive(UserId("user-7"), 200)
    await world.writer.save()
    await world.writer.publish()
    assert world.store.saved == [100]
    assert len(world.feed()) == 100
    key, event = world.feed()[0]
    assert event is not None
    assert (key, event.user_id, event.state) == (b"user-0", "user-0", gateway.PRESENCE_STATE_ONLINE)
    await world.writer.save()
    assert world.store.saved == [100]


async def test_a_deleted_account_is_a_tombstone_on_the_feed_and_no_row(world: World) -> None:
    world.arrive(ALICE)
    await world.writer.save()
    await Deliveries(world.ways).handle([record(events_pb2.Delivery(user_id=ALICE, user_deleted=True))])
    await world.writer.save()
    await world.writer.publish()
    assert world.feed()[-1] == (b"alice", None)
    assert world.store.rows == {}


async def test_events_are_routed_and_watchers_told_while_the_database_is_away(world: World) -> None:
    world.store.down = True
    world.arrive(ALICE)
    world.presence.apply(world.router.watch(world.stream_id, 1, 9, [ALICE, BOB]))
    world.presence.deliver(ALICE, b"message")
    await until(lambda: world.stream.queued == 4, what="the snapshot of who is not known")
    assert [frame for frame in await world.told() if isinstance(frame, Deliver)] == [
        Deliver((9,), PresenceChange(ALICE, ONLINE), durable=False),
        Deliver((1,), b"message", durable=True),
        Deliver((9,), PresenceChange(BOB, OFFLINE), durable=False),
    ]
    await world.writer.save()
    assert len(world.writer.unsaved) == 1
    world.store.down = False
    await world.writer.save()
    assert world.store.rows[ALICE].state == ONLINE


async def test_the_feed_waits_for_the_broker_and_then_tells_the_newest_state_of_each(world: World) -> None:
    world.publisher.down = True
    world.arrive(ALICE)
    await world.writer.publish()
    world.presence.apply(world.router.unregister(world.stream_id, [1], world.presence.now()))
    world.presence.apply(world.router.note_call(ALICE, CallActivity("call-1", 1, in_call=True), world.presence.now()))
    world.publisher.down = False
    await world.writer.publish()
    assert [(key, event and event.in_call) for key, event in world.feed()] == [(b"alice", True)]


async def test_no_event_costs_a_look_up_and_a_watch_list_costs_one(world: World) -> None:
    people = [UserId(f"user-{number}") for number in range(300)]
    for number in range(50):
        world.presence.deliver(people[number], b"message")
        world.presence.apply(world.router.route(world.stream_id, people[number], b"typing"))
    world.presence.apply(world.router.watch(world.stream_id, 1, 9, people))
    await until(lambda: world.stream.queued == 300, what="the snapshots")
    assert world.store.asked == [tuple(people)]


async def test_a_repeated_watch_list_costs_nothing(world: World) -> None:
    for session_id in range(20):
        world.presence.apply(world.router.watch(world.stream_id, 1, session_id, [ALICE, BOB]))
        await until(lambda: world.stream.queued == 2, what="the snapshots")
        await world.told()
    assert world.store.asked == [(ALICE, BOB)]


async def test_a_gateway_that_does_not_register_in_time_is_not_waited_for() -> None:
    world = World()
    world.presence.attach(world.stream)
    await world.presence.on_assigned(range(16), 16)
    assert not world.presence.describe().collecting


async def test_a_gateway_that_attaches_anew_ends_its_older_stream(world: World) -> None:
    world.presence.attach(GatewayStream(10, "gateway-1"))
    with pytest.raises(GatewayReplaced):
        await anext(world.stream.batches())


async def test_the_new_owner_restores_as_soon_as_the_database_is_back(world: World) -> None:
    world.store.rows[BOB] = StateRow(BOB, 1, 0, ONLINE)
    restores = asyncio.create_task(world.presence.run_restores())
    await until(lambda: world.presence.describe().users == 1, what="the one who was online before")
    restores.cancel()


async def test_a_replica_tells_what_it_owns_and_holds(world: World) -> None:
    world.arrive(ALICE)
    world.presence.apply(world.router.watch(world.stream_id, 1, 1, [ALICE]))
    view = world.presence.describe()
    assert (view.epoch, len(view.partitions), view.partition_count, view.users, view.unsaved) == (1, 16, 16, 1, 1)
    assert [(gateway.gateway_id, gateway.sessions, gateway.watching) for gateway in view.gateways] == [
        ("gateway-1", 1, 1)
    ]


async def test_a_delivery_may_carry_changed_relations_and_a_call(world: World) -> None:
    world.arrive(ALICE)
    await world.told()
    delivery = events_pb2.Delivery(user_id=ALICE, relations_changed=True)
    delivery.call_activity.call_id, delivery.call_activity.in_call = "call-1", True
    await Deliveries(world.ways).handle([record(delivery)])
    assert await world.told() == [RecheckWatches((1,))]
    await world.writer.save()
    assert world.store.rows[ALICE].state == UserState(PresenceStatus.ONLINE, in_call=True)


def message(seq: int) -> events_pb2.Delivery:
    """The delivery of a message, as both ways bring it."""
    place = events_pb2.Place(sequence="c1", number=seq)
    return events_pb2.Delivery(user_id=ALICE, frame=f"{seq}".encode(), delivery_id=f"m{seq}", place=place)


def direct(*seqs: int) -> list[Delivery]:
    return [decode_delivery(message(seq), None) for seq in seqs]


async def frames(world: World) -> list[bytes]:
    """What the gateway was given for devices since the last time."""
    return [frame.content for frame in await world.told() if isinstance(frame, Deliver) and frame.durable]  # type: ignore[misc]


async def test_what_was_handed_over_directly_is_not_passed_on_again(world: World) -> None:
    world.arrive(ALICE)
    world.ways.take_direct(world.epoch, direct(1, 2))
    assert await frames(world) == [b"1", b"2"]
    await Deliveries(world.ways).handle([record(message(1)), record(message(2)), record(message(3))])
    assert await frames(world) == [b"3"]


async def test_what_is_missing_in_between_is_waited_for_and_comes_by_the_topic(world: World) -> None:
    world.arrive(ALICE)
    world.ways.take_direct(world.epoch, direct(1, 3))
    assert await frames(world) == [b"1"]
    await Deliveries(world.ways).handle([record(message(2))])
    assert await frames(world) == [b"2", b"3"]


async def test_what_waits_is_passed_on_when_its_time_is_over(world: World) -> None:
    world.arrive(ALICE)
    world.ways.take_direct(world.epoch, direct(1, 3))
    await frames(world)
    world.clock.advance(HOLD_S)
    world.ways.expire()
    assert (await frames(world), world.ways.held) == ([b"3"], 0)


async def test_a_user_without_a_device_is_told_by_the_topic_who_has_come_meanwhile(world: World) -> None:
    world.ways.take_direct(world.epoch, direct(1))
    world.arrive(ALICE)
    await world.told()
    await Deliveries(world.ways).handle([record(message(1))])
    assert await frames(world) == [b"1"]


async def test_what_is_handed_over_by_an_older_assignment_is_dropped_and_comes_by_the_topic(world: World) -> None:
    world.arrive(ALICE)
    world.ways.take_direct(world.epoch - 1, direct(1))
    assert await frames(world) == []
    await Deliveries(world.ways).handle([record(message(1))])
    assert await frames(world) == [b"1"]


async def test_nothing_is_taken_directly_while_the_gateways_register(world: World) -> None:
    world.arrive(ALICE)
    await world.told()
    assigning = asyncio.create_task(world.ways.on_assigned(range(16), 16))
    await until(lambda: world.router.collecting, what="the new assignment")
    world.epoch += 1
    world.arrive(ALICE)
    world.ways.take_direct(world.epoch, direct(1))
    world.presence.apply(world.router.registered(world.stream_id, world.epoch))
    await assigning
    assert await frames(world) == []
    world.ways.take_direct(world.epoch, direct(1))
    assert await frames(world) == [b"1"]


async def test_a_producer_is_told_what_is_routed_once_it_is(world: World) -> None:
    producer = world.ways.attach()
    told = producer.assignments()
    assert (await anext(told)).partitions == frozenset(range(16))
    await world.ways.on_revoked()
    assert (await anext(told)).partitions == frozenset()
    assigning = asyncio.create_task(world.ways.on_assigned(range(8), 16))
    await until(lambda: world.router.collecting, what="the new assignment")
    world.presence.apply(world.router.registered(world.stream_id, world.router.assignment.epoch))
    await assigning
    assignment = await anext(told)
    assert (assignment.partitions, assignment.epoch) == (frozenset(range(8)), world.router.assignment.epoch)
    producer.end()
    assert [assignment async for assignment in told] == []


async def test_a_delivery_that_could_not_be_passed_on_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.arrive(ALICE)
    await world.told()

    def fails(_: Delivery) -> None:
        raise KeyError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(world.presence, "take", fails)
        with pytest.raises(KeyError):
            await Deliveries(world.ways).handle([record(message(1))])
    await Deliveries(world.ways).handle([record(message(1))])
    assert await frames(world) == [b"1"]


async def test_of_two_calls_the_topic_says_which_was_the_later(world: World) -> None:
    def call(call_id: str, in_call: bool, version: int) -> events_pb2.Delivery:
        activity = events_pb2.CallActivity(call_id=call_id, version=version, in_call=in_call)
        delivery_id = f"{call_id}-{version}"
        return events_pb2.Delivery(user_id=ALICE, frame=b"call", delivery_id=delivery_id, call_activity=activity)

    world.arrive(ALICE)
    in_order = [call("call-1", True, 1), call("call-1", False, 2), call("call-2", True, 1)]
    world.ways.take_direct(world.epoch, [decode_delivery(in_order[2], None)])
    await world.told()
    await Deliveries(world.ways).handle([record(delivery) for delivery in in_order])
    assert await frames(world) == [b"call", b"call"]
    await world.writer.save()
    assert world.store.rows[ALICE].state == UserState(PresenceStatus.ONLINE, in_call=True)


@pytest.mark.parametrize("delivery", [record(events_pb2.Delivery(user_id="alice"), key="bob")])
async def test_a_record_in_the_wrong_partition_is_poison(world: World, delivery: Incoming) -> None:
    with pytest.raises(PoisonRecord):
        await Deliveries(world.ways).handle([delivery])


async def test_only_so_many_states_wait_and_the_oldest_go_first() -> None:
    backlog, written = Backlog("store", limit=2), list[StateRow]()
    for number in range(3):
        backlog.add(StateRow(UserId(f"user-{number}"), number))

    async def write(rows: Sequence[StateRow]) -> None:
        written.extend(rows)

    await backlog.drain(write)
    assert [row.user_id for row in written] == ["user-1", "user-2"]


@pytest.mark.parametrize("culprits", [{"user-0"}, {"user-0", "user-1", "user-77"}])
async def test_states_that_cannot_be_written_do_not_keep_the_others(culprits: set[str]) -> None:
    backlog, written = Backlog("store"), set[str]()
    for number in range(100):
        backlog.add(StateRow(UserId(f"user-{number}"), number))

    async def write(rows: Sequence[StateRow]) -> None:
        if culprits & {row.user_id for row in rows}:
            raise cut_off()
        written.update(row.user_id for row in rows)

    await backlog.drain(write)
    assert len(written) == 100 - len(culprits)
    # They are tried again, behind all others.
    assert len(backlog) == len(culprits)
    backlog.add(StateRow(UserId("user-100"), 100))
    culprits.clear()
    await backlog.drain(write)
    assert len(written) == 101


@pytest.mark.parametrize("others_pass", [True, False])
async def test_a_round_ends_when_no_state_can_be_written(others_pass: bool) -> None:
    backlog, tried = Backlog("store"), 0
    for number in range(100):
        backlog.add(StateRow(UserId(f"user-{number}"), number))

    async def write(rows: Sequence[StateRow]) -> None:
        nonlocal tried
        tried += 1
        raise cut_off(others_pass=others_pass)

    with pytest.raises(StoreUnavailable):
        await backlog.drain(write)
    assert tried == 1 if not others_pass else tried < 20
    assert len(backlog) == 100


async def test_what_could_not_be_written_does_not_hide_what_came_meanwhile() -> None:
    backlog = Backlog("store")
    backlog.add(StateRow(ALICE, 1))

    async def fail(rows: Sequence[StateRow]) -> None:
        backlog.add(StateRow(ALICE, 2))
        raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        await backlog.drain(fail)
    written: list[StateRow] = []

    async def write(rows: Sequence[StateRow]) -> None:
        written.extend(rows)

    await backlog.drain(write)
    assert written == [StateRow(ALICE, 2)]


async def test_a_replica_that_the_gateways_call_dead_is_expelled_and_no_harm_is_done_while_the_broker_is_away(
    world: World,
) -> None:
    expelling = asyncio.create_task(world.failed_replicas.run())
    world.group.down = True
    world.presence.report_failed(world.stream_id, "member-2")
    await asyncio.sleep(0)
    world.group.down = False
    world.presence.report_failed(world.stream_id, "member-3")
    await until(lambda: "member-3" in world.group.expelled)
    expelling.cancel()


async def test_a_replica_takes_no_leave_of_itself(world: World) -> None:
    expelling = asyncio.create_task(world.failed_replicas.run())
    assigning = asyncio.create_task(world.presence.on_assigned(range(16), 16, "member-1"))
    await until(lambda: world.stream.queued, what="the assignment")
    world.presence.apply(world.router.registered(world.stream_id, 2))
    await assigning
    await world.presence.on_revoked()
    for member_id in ("member-1", "member-2"):
        world.presence.report_failed(world.stream_id, member_id)
    await until(lambda: world.group.expelled)
    assert world.group.expelled == ["member-2"]
    expelling.cancel()
