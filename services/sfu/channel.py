"""The messages of the data channel "parley" (parley.sfu.v1.ChannelMessage)."""

from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.message import DecodeError
from parley.sfu.v1 import channel_pb2

from services.sfu.core.ids import ParticipantKey, UserId
from services.sfu.core.selection.video_requests import MAX_VIDEO_REQUESTS, VideoRequest, VideoRequests
from services.sfu.core.session.participants import CodecState, LayerState, ReceiveQuality, SlotEntry, UnseenVideo
from services.sfu.core.session.quality import Quality

_SOURCES = {
    None: channel_pb2.VIDEO_SOURCE_UNSPECIFIED,
    "camera": channel_pb2.VIDEO_SOURCE_CAMERA,
    "screen": channel_pb2.VIDEO_SOURCE_SCREEN,
}
_SHARING = {channel_pb2.SCREEN_STATE_OFF: False, channel_pb2.SCREEN_STATE_ON: True}

# Requests for a screen full of people take a few kilobytes; what is larger is not one.
MAX_MESSAGE_SIZE = 8192


class MuteState(NamedTuple):
    """What a client says of its microphone and camera: whether they are off. `screen`: whether it is shared; None when
    the client says nothing of it."""

    audio: bool
    video: bool
    screen: bool | None = None

    def after(self, before: "MuteState | None") -> "MuteState":
        """This one where it speaks, and the one before where it says nothing."""
        return self._replace(screen=before.screen) if before is not None and self.screen is None else self


def encode_slot_map(
    entries: Iterable[SlotEntry], unseen: Iterable[UnseenVideo] = (), unseen_by: Iterable[UnseenVideo] = ()
) -> bytes:
    """The whole map, as a message to one receiver, with what cannot be decoded."""
    slots = [
        channel_pb2.Slot(
            mid=entry.mid,
            user_id=entry.publisher.user_id if entry.publisher else "",
            device_id=entry.publisher.device_id if entry.publisher else "",
            muted=entry.muted,
            source=_SOURCES[entry.source],
        )
        for entry in entries
    ]
    slot_map = channel_pb2.SlotMap(slots=slots, unseen=map(_unseen, unseen), unseen_by=map(_unseen, unseen_by))
    return channel_pb2.ChannelMessage(slot_map=slot_map).SerializeToString()


def _unseen(video: UnseenVideo) -> channel_pb2.UnseenVideo:
    key, source, name = video
    return channel_pb2.UnseenVideo(user_id=key.user_id, device_id=key.device_id, source=_SOURCES[source], format=name)


def encode_wanted_layers(states: Iterable[LayerState], codecs: Iterable[CodecState] = ()) -> bytes:
    """Which layers of its own the receiver should send, and in which codecs."""
    layers = [channel_pb2.Layer(mid=state.mid, rid=state.rid, wanted=state.is_wanted) for state in states]
    wanted = [channel_pb2.WantedCodec(mid=state.mid, payload_type=state.payload_type) for state in codecs]
    message = channel_pb2.ChannelMessage(wanted_layers=channel_pb2.WantedLayers(layers=layers, codecs=wanted))
    return message.SerializeToString()


def encode_speakers(speakers: Iterable[ParticipantKey]) -> bytes:
    """Who speaks, the loudest first."""
    named = [channel_pb2.Speaker(user_id=key.user_id, device_id=key.device_id) for key in speakers]
    message = channel_pb2.ChannelMessage(active_speakers=channel_pb2.ActiveSpeakers(speakers=named))
    return message.SerializeToString()


def encode_quality(quality: Quality) -> bytes:
    """How the participant's own legs fare."""
    message = channel_pb2.ConnectionQuality(
        uplink_mos=quality.uplink.mos,
        downlink_mos=quality.downlink.mos,
        remote_mos=quality.remote_mos,
        weak=quality.is_weak,
    )
    return channel_pb2.ChannelMessage(connection_quality=message).SerializeToString()


def decode_message(message: bytes) -> MuteState | VideoRequests | ReceiveQuality | None:
    """What a client says, or None when it is nothing that clients say."""
    if len(message) > MAX_MESSAGE_SIZE:
        return None
    try:
        decoded = channel_pb2.ChannelMessage.FromString(message)
    except DecodeError:
        return None
    kind = decoded.WhichOneof("message")
    if kind == "media_state":
        state = decoded.media_state
        return MuteState(state.audio_muted, state.video_muted, _SHARING.get(state.screen))
    if kind == "set_video_slots":
        return _read_requests(decoded.set_video_slots)
    if kind == "receive_quality":
        said = decoded.receive_quality
        return ReceiveQuality(_ratio(said.frozen_ratio), _ratio(said.concealed_ratio))
    return None


def _ratio(said: float) -> float:
    # The comparison also turns what is not a number into 0.
    return min(said, 1.0) if said > 0 else 0.0


def _read_requests(asked: channel_pb2.SetVideoSlots) -> VideoRequests:
    requests = [
        VideoRequest(
            UserId(request.user_id),
            request.device_id,
            request.source == channel_pb2.VIDEO_SOURCE_SCREEN,
            max(request.max_height, 0),
            request.pinned,
        )
        for request in asked.requests[:MAX_VIDEO_REQUESTS]
    ]
    if asked.hidden:
        return VideoRequests(tuple(requests), 0)
    return VideoRequests(tuple(requests), asked.max_streams if asked.max_streams > 0 else None)
