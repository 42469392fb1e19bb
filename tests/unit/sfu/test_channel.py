"""What the data channel says of screens, and of pictures that cannot be decoded."""

import pytest
from parley.sfu.v1 import channel_pb2

from services.sfu.channel import MuteState, decode_message, encode_slot_map, encode_wanted_layers
from services.sfu.core.selection.video_requests import VideoRequests
from services.sfu.core.session.participants import CodecState, LayerState, UnseenVideo
from tests.unit.sfu.builders import key


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (channel_pb2.SCREEN_STATE_UNSPECIFIED, None),
        (channel_pb2.SCREEN_STATE_ON, True),
        (channel_pb2.SCREEN_STATE_OFF, False),
        (77, None),
    ],
)
def test_a_client_says_of_its_screen_that_it_is_on_or_off_or_nothing(said: int, heard: bool | None) -> None:
    state = channel_pb2.MediaState(audio_muted=True)
    state.MergeFromString(bytes((3 << 3, said)))
    message = channel_pb2.ChannelMessage(media_state=state).SerializeToString()
    assert decode_message(message) == MuteState(audio=True, video=False, screen=heard)


def test_both_sides_of_a_picture_that_cannot_be_decoded_are_in_the_map() -> None:
    unseen = UnseenVideo(key("ann", "phone"), "camera", "h264/high/1")
    unseen_by = UnseenVideo(key("bob"), "screen", "av1")
    told = channel_pb2.ChannelMessage.FromString(encode_slot_map([], [unseen], [unseen_by])).slot_map
    ((first,), (second,)) = told.unseen, told.unseen_by
    assert (first.user_id, first.device_id, first.format) == ("ann", "phone", "h264/high/1")
    assert first.source == channel_pb2.VIDEO_SOURCE_CAMERA
    assert (second.user_id, second.source) == ("bob", channel_pb2.VIDEO_SOURCE_SCREEN)


def test_a_publisher_is_told_of_each_of_its_layers_whether_anybody_takes_it() -> None:
    states = [LayerState("1", "q", True), LayerState("1", "f", False), LayerState("5", "", True)]
    codecs = [CodecState("1", 98), CodecState("5", 96)]
    told = channel_pb2.ChannelMessage.FromString(encode_wanted_layers(states, codecs)).wanted_layers
    assert [(layer.mid, layer.rid, layer.wanted) for layer in told.layers] == states
    assert [(codec.mid, codec.payload_type) for codec in told.codecs] == codecs


def test_a_client_that_shows_nothing_gets_no_video() -> None:
    asked = channel_pb2.SetVideoSlots(requests=[channel_pb2.VideoRequest(user_id="ann")], max_streams=2, hidden=True)
    said = decode_message(channel_pb2.ChannelMessage(set_video_slots=asked).SerializeToString())
    assert isinstance(said, VideoRequests)
    assert said.max_streams == 0
