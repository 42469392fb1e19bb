"""Records of the broker as moments of a call."""

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from parley.calls.v1 import events_pb2 as calls_events
from parley.calls.v1 import messages_pb2 as calls
from parley.sfu.v1 import events_pb2 as sfu_events

from services.ops.timeline import CallState, Leg, Measured, Media, Moment, Silence

# What tells of calls, each keyed by the call.
CALL_TOPICS = ("calls.events.v1", "media.events.v1", "media.quality.v1")


def moments_of(call_id: str, records: Iterable[tuple[str, bytes]]) -> list[Moment]:
    """What records (topic, value) say of the call; each once, however often it was published. What cannot be read says
    nothing."""
    found: dict[object, Moment] = {}
    for topic, value in records:
        try:
            key, moment = _quality(value) if topic == "media.quality.v1" else _event(value)
        except DecodeError:
            continue
        if moment is not None and key[0] == call_id:
            found.setdefault(key, moment)
    return list(found.values())


def _event(value: bytes) -> tuple[tuple[str, ...], Moment | None]:
    event = calls_events.CallEvent.FromString(value)
    key, time = (event.call_id, event.event_id), _time(event.event_time)
    match event.WhichOneof("event"):
        case "call_changed":
            return key, _state(event.call_changed.call, time)
        case "media_connected":
            up = event.media_connected
            return key, Media(time, _device(up.user_id, up.device_id), up.worker_id)
        case "media_disconnected":
            down = event.media_disconnected
            reason = calls_events.MediaDisconnectReason.Name(down.reason).removeprefix("MEDIA_DISCONNECT_REASON_")
            return key, Media(time, _device(down.user_id, down.device_id), down.worker_id, _words(reason))
        case "media_silent":
            silent = event.media_silent
            device = _device(silent.user_id, silent.device_id)
            return key, Silence(time, device, silent.worker_id, _time(silent.heard_time))
        case _:
            return key, None


def _state(call: calls.Call, time: datetime) -> CallState:
    state = calls.CallState.Name(call.state).removeprefix("CALL_STATE_")
    if call.state == calls.CALL_STATE_ENDED:
        state += " " + calls.EndReason.Name(call.end_reason).removeprefix("END_REASON_")
    joined = (person for person in call.participants if person.state == calls.PARTICIPANT_STATE_JOINED)
    move = calls.MediaMoveReason.Name(call.media_move.reason).removeprefix("MEDIA_MOVE_REASON_")
    return CallState(
        time,
        _words(state),
        tuple(_device(person.user_id, person.device_id) for person in joined),
        call.media_move.media_epoch,
        _words(move),
    )


def _quality(value: bytes) -> tuple[tuple[str, ...], Moment]:
    report = sfu_events.QualityReport.FromString(value)
    time, device = _time(report.report_time), _device(report.user_id, report.device_id)
    seconds = report.interval_s or 1.0
    measured = Measured(
        time,
        device,
        report.worker_id,
        _leg(report.uplink, seconds),
        _leg(report.downlink, seconds),
        report.downlink_estimate_bps / 1000,
        report.frozen_ratio,
        report.concealed_ratio,
        tuple(_video(video) for video in report.videos),
        tuple(rid or "camera" for rid in report.paused_rids),
        seconds,
    )
    return (report.call_id, device, report.worker_id, time.isoformat()), measured


def _video(video: sfu_events.ReceivedVideo) -> str:
    what = f"{_device(video.user_id, video.device_id)}{' (screen)' if video.screen else ''}"
    layer = f"{video.rid} {video.height or ''}".strip() or "all" if video.forwarded else "nothing yet"
    return f"{what} {layer}{' (switching)' if video.switching else ''}"


def _leg(leg: sfu_events.LegQuality, seconds: float) -> Leg:
    return Leg(leg.bytes * 8 / seconds / 1000, leg.loss_ratio, leg.rtt_ms, leg.mos)


def _device(user_id: str, device_id: str) -> str:
    return f"{user_id}/{device_id}"


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)
