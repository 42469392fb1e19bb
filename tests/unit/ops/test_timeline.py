"""One call, moment by moment."""

from datetime import UTC, datetime, timedelta

from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2 as calls
from parley.sfu.v1 import events_pb2 as sfu_events

from services.ops.mapping import CALL_TOPICS, moments_of
from services.ops.timeline import timeline

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CALLS, MEDIA, QUALITY = CALL_TOPICS
Record = tuple[str, bytes]


def event(second: float, topic: str = MEDIA, call: str = "c", **what: object) -> Record:
    made = calls_events.CallEvent(event_id=f"{call}-{second}", call_id=call, **what)
    made.event_time.FromDatetime(BEGAN + timedelta(seconds=second))
    return topic, made.SerializeToString()


def changed(second: float, state: calls.CallState, *joined: str, epoch: int = 0, **more: object) -> Record:
    people = [calls.Participant(user_id=user, device_id="d", state=calls.PARTICIPANT_STATE_JOINED) for user in joined]
    move = calls.MediaMove(media_epoch=epoch, reason=calls.MEDIA_MOVE_REASON_DRAIN) if epoch else None
    call = calls.Call(call_id="c", state=state, participants=people, media_move=move, **more)
    return event(second, CALLS, call_changed=calls_events.CallChanged(call=call))


def measured(second: float, user: str = "ann", call: str = "c", **more: object) -> Record:
    leg = sfu_events.LegQuality(packets=100, bytes=625_000, rtt_ms=40, mos=4.4)
    fields = {"uplink": leg, "downlink": leg, "interval_s": 5.0, "worker_id": "sfu-1"} | more
    report = sfu_events.QualityReport(call_id=call, user_id=user, device_id="d", **fields)
    report.report_time.FromDatetime(BEGAN + timedelta(seconds=second))
    return QUALITY, report.SerializeToString()


def seen(rid: str, height: int, **more: object) -> list[sfu_events.ReceivedVideo]:
    video = sfu_events.ReceivedVideo(user_id="bob", device_id="d", forwarded=True, rid=rid, height=height, **more)
    return [video]


def lines(*records: Record, every: bool = False) -> list[str]:
    """Without the date and the hour."""
    return [line[14:] for line in timeline(moments_of("c", records), every=every)]


def test_a_call_is_told_in_its_order_whatever_topic_says_it() -> None:
    up = calls_events.MediaConnected(user_id="ann", device_id="d", worker_id="sfu-1")
    down = calls_events.MediaDisconnected(
        user_id="ann",
        device_id="d",
        worker_id="sfu-1",
        reason=calls_events.MEDIA_DISCONNECT_REASON_CONSENT_EXPIRED,
    )
    assert lines(
        event(60, media_disconnected=down),
        changed(0, calls.CALL_STATE_RINGING),
        event(2, media_connected=up),
        changed(1, calls.CALL_STATE_ACTIVE, "ann", "bob"),
        changed(30, calls.CALL_STATE_ACTIVE, "ann", "bob", epoch=1),
        changed(61, calls.CALL_STATE_ENDED, epoch=1, end_reason=calls.END_REASON_MEDIA_LOST),
    ) == [
        "04:05.000+00:00  call  ringing; in it: nobody",
        "04:06.000+00:00  call  active; in it: ann/d, bob/d",
        "04:07.000+00:00  ann/d  connected to sfu-1",
        "04:35.000+00:00  call  active; in it: ann/d, bob/d; media moved (drain)",
        "05:05.000+00:00  ann/d  left sfu-1: consent expired",
        "05:06.000+00:00  call  ended media lost; in it: nobody",
    ]


def test_a_silence_and_its_end_are_told() -> None:
    silent = calls_events.MediaSilent(user_id="ann", device_id="d", worker_id="sfu-1")
    silent.heard_time.FromDatetime(BEGAN + timedelta(seconds=3))
    up = calls_events.MediaConnected(user_id="ann", device_id="d", worker_id="sfu-1")
    assert lines(event(2, media_connected=up), event(10, media_silent=silent), event(11, media_connected=up)) == [
        "04:07.000+00:00  ann/d  connected to sfu-1",
        "04:15.000+00:00  ann/d  silent on sfu-1 since 2026-01-02T03:04:08.000+00:00",
        "04:16.000+00:00  ann/d  heard again on sfu-1",
    ]


def test_of_measurements_those_are_shown_that_say_something_new() -> None:
    records = [
        measured(5, videos=seen("q", 180, switching=True), downlink_estimate_bps=800_000),
        measured(10, videos=seen("f", 720), paused_rids=["q", "h"]),
        measured(15, videos=seen("f", 720), paused_rids=["q", "h"]),
        measured(20, videos=seen("f", 720), paused_rids=["q", "h"], frozen_ratio=0.1),
    ]
    assert lines(*records) == [
        "04:10.000+00:00  ann/d  up 1000 kbit/s, 0.0% lost, 40 ms; down 1000 kbit/s, 0.0% lost, 40 ms; "
        "path bears 800 kbit/s; sees bob/d q 180 (switching)",
        "04:15.000+00:00  ann/d  up 1000 kbit/s, 0.0% lost, 40 ms; down 1000 kbit/s, 0.0% lost, 40 ms; "
        "sees bob/d f 720; paused q, h",
        "04:25.000+00:00  ann/d  up 1000 kbit/s, 0.0% lost, 40 ms; down 1000 kbit/s, 0.0% lost, 40 ms; "
        "sees bob/d f 720; paused q, h; ! pictures stood still 10% of the time",
    ]
    assert len(lines(*records, every=True)) == 4


def test_a_poor_leg_is_pointed_at_each_time() -> None:
    poor = sfu_events.LegQuality(packets=100, bytes=1, loss_ratio=0.08, mos=3.1)
    found = lines(measured(5, uplink=poor), measured(10, uplink=poor), measured(15, downlink=poor, concealed_ratio=0.2))
    assert [line.split("; ! ")[1:] for line in found] == [
        ["uplink loses 8%", "uplink MOS 3.1"],
        ["uplink loses 8%", "uplink MOS 3.1"],
        ["downlink loses 8%", "downlink MOS 3.1", "sound was made up 20% of the time"],
    ]


def test_what_was_published_twice_is_shown_once_and_other_calls_and_damaged_records_not_at_all() -> None:
    twice = measured(5)
    assert len(lines(twice, twice, measured(5, call="other"), (QUALITY, b"\xff"), (CALLS, b"\xff"))) == 1


def test_a_change_that_is_none_of_media_is_no_moment() -> None:
    first = changed(1, calls.CALL_STATE_ACTIVE, "ann")
    assert len(lines(first, changed(2, calls.CALL_STATE_ACTIVE, "ann", locked=True))) == 1


def test_a_call_that_the_record_does_not_have_is_said_to_be_unknown() -> None:
    assert timeline([]) == ["the record has nothing of this call: it was never there, or is too long ago"]


def test_a_picture_is_named_by_its_source_and_what_comes_of_it() -> None:
    videos = [
        sfu_events.ReceivedVideo(user_id="bob", device_id="d", screen=True, forwarded=True),
        sfu_events.ReceivedVideo(user_id="cid", device_id="d"),
    ]
    assert "sees bob/d (screen) all, cid/d nothing yet" in lines(measured(5, videos=videos))[0]
