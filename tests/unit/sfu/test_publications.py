from services.sfu.core.forwarding.publications import (
    KEY_FRAME_INTERVAL_S,
    LIVE_S,
    START_S,
    STILL_S,
    InboundStream,
    Publication,
)
from services.sfu.core.wire.rtp import parse_header
from tests.unit.sfu.builders import key, offer, video


def camera(**options: bool) -> Publication:
    return Publication(offer(**options).media[1], key("ann"))


def receive(stream: InboundStream, number: int, now: float) -> None:
    packet = video(stream.ssrc, number, number, key_frame=number == 1)
    stream.receive(packet, parse_header(packet), now)


def test_a_camera_is_awaited_for_a_while_then_on_while_media_comes() -> None:
    publication = camera()
    assert publication.is_on(START_S - 0.1)
    assert not publication.is_on(START_S)
    stream = publication.open_stream(7, "", 96)
    receive(stream, 1, 10.0)
    assert publication.is_on(10.0 + LIVE_S - 0.1)
    assert not publication.is_on(10.0 + LIVE_S)
    publication.reported_at = 10.0 + STILL_S - 1.0
    assert publication.is_on(10.0 + STILL_S - 0.1)
    assert not publication.is_on(10.0 + STILL_S)


def test_what_the_publisher_says_counts() -> None:
    publication = camera()
    receive(publication.open_stream(7, "", 96), 1, 10.0)
    publication.declared_on = False
    assert (publication.is_on(10.1), publication.muted) == (False, True)
    publication.declared_on = True
    assert publication.is_on(99.0)


def test_key_frame_requests_keep_their_interval_and_the_newest_stream_counts() -> None:
    publication = camera(simulcast=True)
    low, high = publication.open_stream(7, "q", 96), publication.open_stream(8, "h", 96)
    publication.want_key_frame(low)
    publication.want_key_frame(high)
    assert publication.take_key_frame_request(1.0) is high
    assert publication.take_key_frame_request(1.0) is None
    publication.want_key_frame(low)
    assert publication.take_key_frame_request(1.0 + KEY_FRAME_INTERVAL_S / 2) is None
    assert publication.take_key_frame_request(1.0 + KEY_FRAME_INTERVAL_S) is low
    assert publication.key_frames_asked == 2


def test_streams_are_listed_from_the_lowest_layer_and_each_change_is_counted() -> None:
    publication = camera(simulcast=True)
    high, low = publication.open_stream(8, "f", 96), publication.open_stream(7, "q", 96)
    assert publication.streams_upwards() == [low, high]
    changes = publication.stream_changes
    publication.forget(high)
    assert publication.streams_upwards() == [low]
    assert publication.stream_changes > changes


def test_a_packet_that_came_before_is_kept_once() -> None:
    stream = camera().open_stream(7, "", 96)
    packet = video(7, 1, 1, key_frame=True)
    first, _ = stream.receive(packet, parse_header(packet), 1.0)
    again, _ = stream.receive(packet, parse_header(packet), 1.1)
    assert first is not None
    assert again is None
    assert stream.bytes == len(packet)
