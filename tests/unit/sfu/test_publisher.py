import asyncio
from collections.abc import Sequence
from datetime import UTC, timedelta

import pytest
from parley.calls.v1 import events_pb2 as calls_events
from parley.sfu.v1 import events_pb2 as sfu_events
from prometheus_client import REGISTRY

from services.runtime.ids import new_id
from services.runtime.kafka.bus import Outgoing
from services.sfu.config import Node
from services.sfu.core.ids import WorkerId
from services.sfu.core.session.effects import LeaveReason
from services.sfu.core.session.participants import ReceiveQuality
from services.sfu.core.session.quality import Leg, Quality, ReceivedVideo
from services.sfu.publisher import MAX_QUEUE, Announcer, KafkaEvents
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.waiting import PATIENCE_S, until
from tests.unit.sfu.builders import key

QUALITY = Quality(
    5.0,
    Leg(100, 5000, 0.1, 0.02, 0.05, 3.5),
    Leg(0, 0, 0.0, 0.0, None, 0.0),
    remote_mos=4.2,
    estimate_bps=800_000.0,
    receive=ReceiveQuality(0.25, 0.5),
    videos=(ReceivedVideo(key("bob"), True, "", 720, False), ReceivedVideo(key("cid"), False, None, 0, True)),
    paused_rids=("q", "f"),
)


def make(publisher: MemoryPublisher) -> KafkaEvents:
    return KafkaEvents(publisher, WorkerId("w1"), ManualClock(), new_id)


def make_announcer(publisher: MemoryPublisher) -> Announcer:
    node = Node(WorkerId("w1"), "a:1", "r", 1)
    return Announcer(publisher, node, ManualClock(), lambda: 0, lambda: False, lambda: None)


async def test_events_of_a_call_come_in_order_under_its_key() -> None:
    publisher = MemoryPublisher()
    events = make(publisher)
    await events.start()
    events.media_connected(key("ann"))
    events.quality_measured(key("ann"), QUALITY)
    events.media_silent(key("ann"), 7.0)
    events.media_disconnected(key("ann"), LeaveReason.CONSENT_EXPIRED)
    await events.stop()
    topics = ["media.events.v1", "media.quality.v1", "media.events.v1", "media.events.v1"]
    assert [record.topic for record in publisher.records] == topics
    assert {record.key for record in publisher.records} == {b"call-1"}
    silence = calls_events.CallEvent.FromString(publisher.records[2].value or b"")
    assert (silence.media_silent.user_id, silence.media_silent.worker_id) == ("ann", "w1")
    heard_time = silence.media_silent.heard_time.ToDatetime()
    assert silence.event_time.ToDatetime() - heard_time == timedelta(seconds=7)
    last = calls_events.CallEvent.FromString(publisher.records[3].value or b"").media_disconnected
    assert (last.user_id, last.worker_id) == ("ann", "w1")
    assert last.reason == calls_events.MEDIA_DISCONNECT_REASON_CONSENT_EXPIRED
    report = sfu_events.QualityReport.FromString(publisher.records[1].value or b"")
    assert [(video.user_id, video.screen, video.forwarded, video.switching) for video in report.videos] == [
        ("bob", True, True, False),
        ("cid", False, False, True),
    ]
    assert list(report.paused_rids) == ["q", "f"]
    assert (report.uplink.jitter_ms, report.uplink.rtt_ms, report.downlink.rtt_ms) == (20.0, 50.0, 0.0)


async def test_every_reason_has_its_own_name_in_the_event() -> None:
    publisher = MemoryPublisher()
    events = make(publisher)
    await events.start()
    for reason in LeaveReason:
        events.media_disconnected(key("ann"), reason)
    await events.stop()
    decoded = [calls_events.CallEvent.FromString(record.value or b"") for record in publisher.records]
    assert len({event.media_disconnected.reason for event in decoded} - {0}) == len(LeaveReason)


async def test_events_wait_out_an_outage() -> None:
    publisher = MemoryPublisher()
    publisher.down = True
    events = make(publisher)
    await events.start()
    events.media_connected(key("ann"))
    publisher.down = False
    await until(lambda: publisher.records, what="the event is published")
    await events.stop()


async def test_events_beyond_the_queue_are_dropped_and_counted() -> None:
    def lost() -> float:
        return REGISTRY.get_sample_value("sfu_events_dropped_total", {"kind": "media_connected"}) or 0.0

    before = lost()
    events = make(MemoryPublisher())
    for _ in range(MAX_QUEUE + 3):
        events.media_connected(key("ann"))
    assert lost() - before == 3


async def test_worker_is_announced_and_leaves_a_tombstone() -> None:
    publisher = MemoryPublisher()
    node = Node(WorkerId("w1"), "sfu-1:7000", "north", 200)
    clock = ManualClock()
    began, deadline = clock.now(), clock.now() + timedelta(seconds=60)
    announcer = Announcer(publisher, node, clock, lambda: 3, lambda: True, lambda: deadline, "10.0.0.1:7800")
    clock.advance(30)
    await announcer.announce()
    await announcer.stop()
    first, last = publisher.records
    announcement = sfu_events.NodeAnnouncement.FromString(first.value or b"")
    assert (first.topic, first.key) == ("sfu.nodes.v1", b"w1")
    assert (announcement.grpc_address, announcement.region) == ("sfu-1:7000", "north")
    assert announcement.media_address == "10.0.0.1:7800"
    assert (announcement.participants, announcement.max_participants, announcement.draining) == (3, 200, True)
    assert announcement.start_time.ToDatetime(UTC) == began
    assert announcement.drain_deadline_time.ToDatetime(UTC) == deadline
    assert (last.key, last.value) == (b"w1", None)


async def test_announcer_does_not_mind_an_outage() -> None:
    publisher = MemoryPublisher()
    publisher.down = True
    announcer = make_announcer(publisher)
    assert not await announcer.announce()
    await announcer.stop()
    assert publisher.records == []


async def test_who_could_not_announce_itself_at_the_start_does_so_long_before_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.sfu.publisher.ANNOUNCE_INTERVAL_S", 3600.0)
    publisher = MemoryPublisher()
    publisher.down = True
    announcer = make_announcer(publisher)
    await announcer.start()
    await until(lambda: publisher.refused, what="the first attempt")
    publisher.down = False
    await until(lambda: publisher.records, what="the announcement")
    await announcer.stop()


class TellingPublisher(MemoryPublisher):
    """Tells at once that something was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = asyncio.Event()

    async def publish(self, records: Sequence[Outgoing]) -> None:
        await super().publish(records)
        self.taken.set()


async def test_who_is_stopped_just_as_an_announcement_is_taken_goes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.sfu.publisher.ANNOUNCE_INTERVAL_S", 3600.0)
    publisher = TellingPublisher()
    announcer = make_announcer(publisher)
    await announcer.start()
    # It is cancelled between the broker's word and its own next step.
    await publisher.taken.wait()
    async with asyncio.timeout(PATIENCE_S) as limit:
        await announcer.stop()
    assert not limit.expired()
    assert publisher.records[-1].value is None


@pytest.mark.parametrize("by_s", [-3600, 3600])
async def test_what_a_worker_says_keeps_its_order_when_its_clock_is_set(by_s: int) -> None:
    """Signaling adds up only reports that are later than the last; else an hour of a call would not be measured."""
    publisher, clock = MemoryPublisher(), ManualClock()
    began = clock.now()
    events = KafkaEvents(publisher, WorkerId("w1"), clock, new_id)
    announcer = Announcer(publisher, Node(WorkerId("w1"), "a:1", "r", 1), clock, lambda: 0, lambda: False, lambda: None)
    await events.start()
    for _ in range(2):
        events.quality_measured(key("ann"), QUALITY)
        events.media_connected(key("ann"))
        # The announcement is the third of each turn.
        await until(lambda: len(publisher.records) % 3 == 2, what="the events to go")
        await announcer.announce()
        clock.step(by_s)
        clock.advance(5)
    await events.stop()
    said = {"media.quality.v1": [], "media.events.v1": [], "sfu.nodes.v1": []}
    for record in publisher.records:
        value = record.value or b""
        match record.topic:
            case "media.quality.v1":
                time = sfu_events.QualityReport.FromString(value).report_time
            case "media.events.v1":
                time = calls_events.CallEvent.FromString(value).event_time
            case _:
                time = sfu_events.NodeAnnouncement.FromString(value).announce_time
        said[record.topic].append((time.ToDatetime(UTC) - began).total_seconds())
    assert said == {topic: [0.0, 5.0] for topic in said}
