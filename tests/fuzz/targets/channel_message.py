"""What clients say on the data channel: known things, bounded."""

from parley.sfu.v1 import channel_pb2

from services.sfu.channel import MuteState, decode_message
from services.sfu.core.selection.video_requests import MAX_VIDEO_REQUESTS, VideoRequests
from services.sfu.core.session.participants import ReceiveQuality

SEEDS = (
    channel_pb2.ChannelMessage(media_state=channel_pb2.MediaState(audio_muted=True)).SerializeToString(),
    channel_pb2.ChannelMessage(set_video_slots=channel_pb2.SetVideoSlots(max_streams=3)).SerializeToString(),
    channel_pb2.ChannelMessage(
        receive_quality=channel_pb2.ReceiveQuality(frozen_ratio=float("nan"), concealed_ratio=-1)
    ).SerializeToString(),
)


def fuzz(data: bytes) -> None:
    """Raises for anything but a message or None."""
    said = decode_message(data)
    if isinstance(said, ReceiveQuality):
        assert all(0 <= ratio <= 1 for ratio in said)
    elif isinstance(said, VideoRequests):
        assert len(said[0] if isinstance(said, tuple) else said.requests) <= MAX_VIDEO_REQUESTS
    else:
        assert said is None or isinstance(said, MuteState)
