"""The network's graph as Parley takes it in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley.graph.v1 import events_pb2

from services.messaging.relations.consumer import GraphCopy
from services.messaging.relations.core.reach import Relationship, Settings
from services.messaging.wire.api import to_timestamp
from services.runtime.kafka.bus import Incoming, PoisonRecord
from tests.support.messaging_world import ALICE, BOB, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def incoming(event: events_pb2.GraphEvent | bytes) -> Incoming:
    value = event if isinstance(event, bytes) else event.SerializeToString()
    return Incoming("graph.events.v1", 0, 0, b"", value, NOW, None)


def event(user: str, hours: int = 0, **fact: object) -> events_pb2.GraphEvent:
    return events_pb2.GraphEvent(user_id=user, event_time=to_timestamp(NOW + timedelta(hours=hours)), **fact)  # type: ignore[arg-type]


def follows(hours: int, is_so: bool) -> events_pb2.GraphEvent:
    return event("bob", hours, follow_changed=events_pb2.FollowChanged(followed_user_id="alice", follows=is_so))


def blocks(hours: int, is_so: bool) -> events_pb2.GraphEvent:
    return event("bob", hours, block_changed=events_pb2.BlockChanged(blocked_user_id="alice", blocks=is_so))


def verified(hours: int, is_so: bool) -> events_pb2.GraphEvent:
    return event("alice", hours, verification_changed=events_pb2.VerificationChanged(verified=is_so))


def later() -> World:
    """When all of these facts are past."""
    world = World()
    world.clock.advance(86_400)
    return world


async def bobs_regard(world: World) -> Relationship:
    return (await world.store.relations.relationships([(BOB, ALICE)]))[BOB, ALICE]


async def test_follows_blocks_and_verified_people_are_copied() -> None:
    world = later()
    copy = GraphCopy(world.relations)
    await copy.handle([incoming(fact) for fact in (follows(0, True), blocks(0, True), verified(0, True))])
    assert await bobs_regard(world) == Relationship(Settings(), blocked=True, follows=True, verified=True)
    await copy.handle([incoming(fact) for fact in (follows(1, False), blocks(1, False), verified(1, False))])
    assert await bobs_regard(world) == Relationship()


@given(st.permutations([follows(0, True), follows(1, False), follows(2, True), verified(0, True), verified(1, False)]))
async def test_events_that_come_doubled_late_or_again_change_nothing(facts: list[events_pb2.GraphEvent]) -> None:
    world = later()
    for fact in (*facts, *facts):
        await GraphCopy(world.relations).handle([incoming(fact)])
    assert await bobs_regard(world) == Relationship(follows=True)


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xff",
        b"",
        events_pb2.GraphEvent(user_id="bob", event_time=to_timestamp(NOW)),
        events_pb2.GraphEvent(user_id="bob", verification_changed=events_pb2.VerificationChanged(verified=True)),
        event("", verification_changed=events_pb2.VerificationChanged()),
        event("bob", follow_changed=events_pb2.FollowChanged(followed_user_id="a b")),
        event("bob", block_changed=events_pb2.BlockChanged(blocked_user_id="bob", blocks=True)),
    ],
    ids=["not protobuf", "empty", "no fact", "no time", "no user", "no other", "of oneself"],
)
async def test_an_event_that_nobody_can_read_is_poison(value: events_pb2.GraphEvent | bytes) -> None:
    with pytest.raises(PoisonRecord):
        await GraphCopy(World().relations).handle([incoming(value)])


@given(st.binary(max_size=80))
async def test_no_bytes_break_the_consumer(value: bytes) -> None:
    try:
        await GraphCopy(World().relations).handle([incoming(value)])
    except PoisonRecord:
        return
