"""The messages of the data channel "parley" (parley.sfu.v1.ChannelMessage)."""

from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.message import DecodeError
from parley.sfu.v1 import channel_pb2

from services.sfu.core.participants import SlotEntry

# A mute state takes a few bytes; what is larger is not one.
MAX_MESSAGE_SIZE = 1024


class MuteState(NamedTuple):
    """What a client says of its microphone and camera."""

    audio: bool
    video: bool


def encode_slot_map(entries: Iterable[SlotEntry]) -> bytes:
    """The whole map, as a message to one receiver."""
    slots = [
        channel_pb2.Slot(
            mid=entry.mid,
            user_id=entry.publisher.user_id if entry.publisher else "",
            device_id=entry.publisher.device_id if entry.publisher else "",
            muted=entry.muted,
        )
        for entry in entries
    ]
    return channel_pb2.ChannelMessage(slot_map=channel_pb2.SlotMap(slots=slots)).SerializeToString()


def decode_mute_state(message: bytes) -> MuteState | None:
    """The mute state in a client's message, or None when it is not one."""
    if len(message) > MAX_MESSAGE_SIZE:
        return None
    try:
        decoded = channel_pb2.ChannelMessage.FromString(message)
    except DecodeError:
        return None
    if decoded.WhichOneof("message") != "media_state":
        return None
    return MuteState(decoded.media_state.audio_muted, decoded.media_state.video_muted)
