"""What comes from Kafka, whatever its bytes."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley.calls.v1 import events_pb2 as calls_events
from parley.messaging.v1 import events_pb2 as messaging_events
from parley.sfu.v1 import events_pb2 as sfu_events

from services.runtime.kafka.bus import Incoming, PoisonRecord, TransientFailure
from services.signaling.consumer import (
    MEDIA_TOPIC,
    MediaConsumer,
    MembersConsumer,
    QualityConsumer,
    WorkerConsumer,
)
from services.signaling.core.errors import Contended
from services.signaling.core.model import Call
from services.signaling.core.placement import WorkerTable
from tests.support.clock import ManualClock
from tests.support.keyed import call_record
from tests.unit.signaling.fakes import ALICE, GROUP_TALK, OTHER_WORKER, PHONE, START, TALK, TIMEOUTS, WORKER, World


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
    workers = WorkerTable()
    consumer = WorkerConsumer(workers, lambda: None, ManualClock(START))
    await consumer.handle([record(announcement())])
    assert workers.choose(2, START) == WORKER
    await consumer.handle([record(None)])
    assert workers.choose(2, START) is None


async def test_the_calls_of_a_worker_that_left_a_tombstone_are_looked_at_at_once() -> None:
    workers, nudges = WorkerTable(), []
    consumer = WorkerConsumer(workers, lambda: nudges.append("look"), ManualClock(START))
    await consumer.handle([record(announcement())])
    nudges.clear()
    await consumer.handle([record(None)])
    assert nudges == ["look"]


async def test_announcements_without_a_meaning_are_passed_over() -> None:
    workers = WorkerTable()
    faulty = [
        announcement(worker_id=""),
        announcement(grpc_address="nowhere"),
        announcement(max_participants=0),
        b"\xff\xff",
    ]
    await WorkerConsumer(workers, lambda: None, ManualClock(START)).handle([record(value) for value in faulty])
    assert workers.live(START) == []


@given(st.binary(max_size=200))
async def test_random_bytes_never_crash_the_table_of_workers(value: bytes) -> None:
    await WorkerConsumer(WorkerTable(), lambda: None, ManualClock(START)).handle([record(value, value)])


async def test_media_reports_reach_their_call() -> None:
    world = World()
    call = await world.start()
    consumer = MediaConsumer(world.service)
    await consumer.handle([call_record(connected(call).SerializeToString(), MEDIA_TOPIC)])
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
    await consumer.handle([call_record(gone.SerializeToString(), MEDIA_TOPIC)])
    assert (await world.service.get_call(call.call_id, ALICE)).legs[0].media_up
    gone.media_disconnected.reason = calls_events.MEDIA_DISCONNECT_REASON_CLOSED
    await consumer.handle([call_record(gone.SerializeToString(), MEDIA_TOPIC)])
    leg = (await world.service.get_call(call.call_id, ALICE)).legs[0]
    assert (leg.media_up, leg.closed_deadline) == (False, START + timedelta(seconds=TIMEOUTS.device_closed_s))


def told_at(event: calls_events.CallEvent, seconds: float) -> Incoming:
    event.event_time.FromDatetime(START + timedelta(seconds=seconds))
    return call_record(event.SerializeToString(), MEDIA_TOPIC)


async def test_an_older_report_that_comes_again_changes_nothing() -> None:
    """By a consumer that was held up while another one went on, or a replay: nobody would say again what holds now."""
    world = World()
    call = await world.start()
    gone = calls_events.CallEvent.FromString(disconnected(call.call_id))
    consumer = MediaConsumer(world.service)
    first, lost, back = (told_at(one, at) for at, one in enumerate((connected(call), gone, connected(call))))
    await consumer.handle([first, lost, back])
    stands = await world.service.get_call(call.call_id, ALICE)
    assert stands.legs[0].media_up
    await consumer.handle([lost])
    await consumer.handle([first, lost])
    assert await world.service.get_call(call.call_id, ALICE) == stands
    lost_again = told_at(gone, 3)
    await consumer.handle([lost_again, back])
    assert not (await world.service.get_call(call.call_id, ALICE)).legs[0].media_up


async def test_the_time_of_a_former_worker_says_nothing_of_the_next_ones() -> None:
    world, call = await with_media()
    await MediaConsumer(world.service).handle([told_at(connected(call), 60)])
    world.hear(OTHER_WORKER)
    await world.moves.move_on_request(call.call_id, OTHER_WORKER.worker_id)
    gone = calls_events.CallEvent.FromString(disconnected(call.call_id, OTHER_WORKER.worker_id))
    await MediaConsumer(world.service).handle([told_at(gone, 0)])
    assert not (await world.service.get_call(call.call_id, ALICE)).legs[0].media_up


async def test_a_worker_tells_since_when_it_has_heard_nothing() -> None:
    world = World()
    call = await world.start()
    world.devices.close(ALICE, PHONE)
    event = calls_events.CallEvent(event_id="e", call_id=call.call_id)
    event.media_silent.MergeFrom(calls_events.MediaSilent(user_id=ALICE, device_id=PHONE, worker_id=WORKER.worker_id))
    event.media_silent.heard_time.FromDatetime(START - timedelta(seconds=2))
    await MediaConsumer(world.service).handle([call_record(event.SerializeToString(), MEDIA_TOPIC)])
    leg = (await world.service.get_call(call.call_id, ALICE)).legs[0]
    assert leg.closed_deadline == START + timedelta(seconds=TIMEOUTS.device_closed_s - 2)
    # With a time that there is not.
    event.media_silent.heard_time.seconds = 1 << 62
    with pytest.raises(PoisonRecord):
        await MediaConsumer(world.service).handle([call_record(event.SerializeToString(), MEDIA_TOPIC)])


async def test_our_own_events_on_the_topic_are_passed_over() -> None:
    world = World()
    call = await world.start()
    own = calls_events.CallEvent(event_id="e", call_id=call.call_id, call_changed=calls_events.CallChanged())
    await MediaConsumer(world.service).handle([call_record(own.SerializeToString())])
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
        await MediaConsumer(world.service).handle([call_record(connected(call).SerializeToString(), MEDIA_TOPIC)])


def disconnected(call_id: str, worker_id: str = WORKER.worker_id) -> bytes:
    event = calls_events.CallEvent(event_id="e", call_id=call_id)
    event.media_disconnected.MergeFrom(
        calls_events.MediaDisconnected(user_id=ALICE, device_id=PHONE, worker_id=worker_id)
    )
    return event.SerializeToString()


async def with_media() -> tuple[World, Call]:
    world = World()
    call = await world.start()
    await MediaConsumer(world.service).handle([call_record(connected(call).SerializeToString(), MEDIA_TOPIC)])
    return world, await world.service.get_call(call.call_id, ALICE)


async def test_a_worker_that_never_had_a_call_says_nothing_of_it() -> None:
    world, call = await with_media()
    for told in (disconnected(call.call_id, OTHER_WORKER.worker_id), disconnected(call.call_id, "")):
        with pytest.raises(PoisonRecord, match="never placed"):
            await MediaConsumer(world.service).handle([call_record(told, MEDIA_TOPIC)])
    assert await world.service.get_call(call.call_id, ALICE) == call


async def test_the_last_reports_of_a_former_worker_change_nothing_and_are_not_parked() -> None:
    world, call = await with_media()
    world.hear(OTHER_WORKER)
    await world.moves.move_on_request(call.call_id, OTHER_WORKER.worker_id)
    moved = await world.service.get_call(call.call_id, ALICE)
    await MediaConsumer(world.service).handle([call_record(disconnected(call.call_id), MEDIA_TOPIC)])
    assert await world.service.get_call(call.call_id, ALICE) == moved


async def test_a_report_under_the_key_of_another_call_is_poison() -> None:
    world, call = await with_media()
    with pytest.raises(PoisonRecord, match="key"):
        await MediaConsumer(world.service).handle([record(disconnected(call.call_id), str(UUID(int=9)).encode())])
    assert await world.service.get_call(call.call_id, ALICE) == call


@pytest.mark.parametrize(
    "event",
    [
        calls_events.CallEvent(call_changed=calls_events.CallChanged()),
        calls_events.CallEvent(push_requested=calls_events.PushRequested()),
    ],
)
async def test_what_only_signaling_may_say_is_poison_from_a_worker(event: calls_events.CallEvent) -> None:
    event.call_id = str(UUID(int=9))
    with pytest.raises(PoisonRecord, match="only signaling"):
        await MediaConsumer(World().service).handle([call_record(event.SerializeToString(), MEDIA_TOPIC)])


def measured(call: Call, worker_id: str = WORKER.worker_id, interval_s: float = 5.0, **uplink: float) -> bytes:
    report = sfu_events.QualityReport(
        call_id=call.call_id, user_id=ALICE, device_id=PHONE, worker_id=worker_id, interval_s=interval_s
    )
    report.report_time.FromDatetime(START)
    report.uplink.MergeFrom(sfu_events.LegQuality(**{"packets": 10, **uplink}))  # type: ignore[arg-type]
    return report.SerializeToString()


async def test_measurements_are_added_for_the_worker_that_has_the_call_alone() -> None:
    world, call = await with_media()
    consumer = QualityConsumer(world.store)
    key = call.call_id.encode()
    await consumer.handle([record(measured(call, OTHER_WORKER.worker_id), key)])
    assert await world.store.quality_of([call.call_id]) == {}
    await consumer.handle([record(measured(call), key)])
    assert (await world.store.quality_of([call.call_id]))[call.call_id][0].uplink.packets == 10


@pytest.mark.parametrize(
    "uplink",
    [
        {"jitter_ms": float("nan")},
        {"rtt_ms": float("inf")},
        {"loss_ratio": float("nan")},
        {"loss_ratio": -1.0},
        {"packets": -1},
        {"bytes": 2**62},
        {"interval_s": 1e9},
    ],
)
async def test_figures_that_nobody_measured_are_poison(uplink: dict[str, float]) -> None:
    world, call = await with_media()
    with pytest.raises(PoisonRecord, match="measured"):
        await QualityConsumer(world.store).handle([record(measured(call, **uplink), call.call_id.encode())])


async def test_a_measurement_under_the_key_of_another_call_is_poison() -> None:
    world, call = await with_media()
    with pytest.raises(PoisonRecord, match="key"):
        await QualityConsumer(world.store).handle([record(measured(call), str(UUID(int=9)).encode())])


@pytest.mark.parametrize("cpu_ratio", [float("nan"), float("inf"), -1.0])
async def test_an_announcement_with_figures_that_are_none_places_no_calls(cpu_ratio: float) -> None:
    message = sfu_events.NodeAnnouncement.FromString(announcement())
    message.cpu_ratio = cpu_ratio
    workers = WorkerTable()
    await WorkerConsumer(workers, lambda: None, ManualClock(START)).handle([record(message.SerializeToString())])
    assert workers.live(START) == []


async def test_an_announcement_under_the_key_of_another_worker_changes_nothing() -> None:
    workers = WorkerTable()
    consumer = WorkerConsumer(workers, lambda: None, ManualClock(START))
    await consumer.handle([record(announcement()), record(announcement(grpc_address="10.0.0.9:1"), b"sfu-2")])
    assert [known.worker for known in workers.live(START)] == [WORKER]


async def test_a_change_of_members_under_the_key_of_another_conversation_is_poison() -> None:
    event = messaging_events.ConversationEvent(conversation_id=TALK, pair_closed=messaging_events.PairClosed())
    with pytest.raises(PoisonRecord, match="key"):
        await MembersConsumer(World().service.roster).handle([record(event.SerializeToString(), GROUP_TALK.encode())])
