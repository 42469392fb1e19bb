"""What comes from Kafka, whatever its bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley.calls.v1 import events_pb2 as calls_events
from parley.sfu.v1 import events_pb2 as sfu_events

from services.runtime.bus import Incoming, PoisonRecord, TransientFailure
from services.signaling.consumer import MediaConsumer, NodeConsumer
from services.signaling.core.errors import Contended
from services.signaling.core.model import Call
from services.signaling.core.placement import NodeTable
from tests.support.clock import ManualClock
from tests.unit.signaling.fakes import ALICE, PHONE, START, WORKER, World


def record(value: bytes | None, key: bytes = b"sfu-1") -> Incoming:
    return Incoming("topic", 0, 0, key, value, START, None)


def announcement(worker_id: str = "sfu-1", grpc_address: str = WORKER.address, max_participants: int = 10) -> bytes:
    message = sfu_events.NodeAnnouncement(
        worker_id=worker_id, grpc_address=grpc_address, participants=1, max_participants=max_participants
    )
    message.announce_time.FromDatetime(START)
    return message.SerializeToString()


def connected(call: Call) -> calls_events.CallEvent:
    media = calls_events.MediaConnected(user_id=ALICE, device_id=PHONE, worker_id=WORKER.worker_id)
    return calls_events.CallEvent(event_id="e", call_id=call.call_id, media_connected=media)


async def test_an_announced_worker_is_placed_on_until_its_tombstone() -> None:
    nodes = NodeTable()
    consumer = NodeConsumer(nodes, lambda: None, ManualClock(START))
    await consumer.handle([record(announcement())])
    assert nodes.choose(2, START) == WORKER
    await consumer.handle([record(None)])
    assert nodes.choose(2, START) is None


async def test_the_calls_of_a_worker_that_left_a_tombstone_are_looked_at_at_once() -> None:
    nodes, nudges = NodeTable(), []
    consumer = NodeConsumer(nodes, lambda: nudges.append("look"), ManualClock(START))
    await consumer.handle([record(announcement())])
    nudges.clear()
    await consumer.handle([record(None)])
    assert nudges == ["look"]


async def test_announcements_without_a_meaning_are_passed_over() -> None:
    nodes = NodeTable()
    faulty = [
        announcement(worker_id=""),
        announcement(grpc_address="nowhere"),
        announcement(max_participants=0),
        b"\xff\xff",
    ]
    await NodeConsumer(nodes, lambda: None, ManualClock(START)).handle([record(value) for value in faulty])
    assert nodes.live(START) == []


@given(st.binary(max_size=200))
async def test_random_bytes_never_crash_the_table_of_workers(value: bytes) -> None:
    await NodeConsumer(NodeTable(), lambda: None, ManualClock(START)).handle([record(value, value)])


async def test_media_reports_reach_their_call() -> None:
    world = World()
    call = await world.start()
    consumer = MediaConsumer(world.service)
    await consumer.handle([record(connected(call).SerializeToString())])
    assert (await world.service.get_call(call.call_id, ALICE)).legs[0].media_up
    gone = calls_events.CallEvent(event_id="e", call_id=call.call_id)
    gone.media_disconnected.MergeFrom(
        calls_events.MediaDisconnected(
            user_id=ALICE,
            device_id=PHONE,
            worker_id=WORKER.worker_id,
            reason=calls_events.MEDIA_DISCONNECT_REASON_REPLACED,
        )
    )
    await consumer.handle([record(gone.SerializeToString())])
    assert (await world.service.get_call(call.call_id, ALICE)).legs[0].media_up
    gone.media_disconnected.reason = calls_events.MEDIA_DISCONNECT_REASON_CLOSED
    await consumer.handle([record(gone.SerializeToString())])
    assert not (await world.service.get_call(call.call_id, ALICE)).legs[0].media_up


async def test_our_own_events_on_the_topic_are_passed_over() -> None:
    world = World()
    call = await world.start()
    own = calls_events.CallEvent(event_id="e", call_id=call.call_id, call_changed=calls_events.CallChanged())
    await MediaConsumer(world.service).handle([record(own.SerializeToString())])
    assert await world.service.get_call(call.call_id, ALICE) == call


@pytest.mark.parametrize("value", [b"\xff\xff", b"", calls_events.CallEvent(call_id="x").SerializeToString(), None])
async def test_what_is_no_call_event_is_poison(value: bytes | None) -> None:
    with pytest.raises(PoisonRecord):
        await MediaConsumer(World().service).handle([record(value)])


async def test_a_contended_call_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    call = await world.start()

    async def contend(*arguments: object, **named: object) -> None:
        raise Contended

    monkeypatch.setattr(world.store, "save", contend)
    with pytest.raises(TransientFailure):
        await MediaConsumer(world.service).handle([record(connected(call).SerializeToString())])
