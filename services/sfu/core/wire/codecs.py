"""What the start of a payload says of its frame, codec by codec; nothing past these bytes is ever read or changed.

Sources: RFC 7741 section 4.2 (VP8), RFC 9628 section 4.2 (VP9), the AV1 RTP payload format
section 4.4, RFC 6386 section 9.1 (the size in a VP8 key frame), RFC 2198 section 3 (RED).
"""

from typing import Final, final

from services.sfu.core.wire.codec_formats import Codec
from services.sfu.core.wire.dependency_descriptor import MAX_SPATIAL, Frame
from services.sfu.core.wire.h264 import find_parameter_set, read_height

# Temporal layers that RFC 7741 can name, less one: with this limit everything goes through.
ALL_TEMPORAL: Final = 3
# The same for spatial layers of one stream: also the frames that the highest of them does not need.
ALL_SPATIAL: Final = MAX_SPATIAL

_VP8_START_CODE: Final = b"\x9d\x01\x2a"


@final
class PayloadInfo:
    """What an SFU needs to know of a payload.

    `temporal` is the frame's temporal layer and `is_sync` says that it needs the lowest one only; a stream without
    layers is all 0. `picture_id_at` and `tl0_at` are offsets in `payload`, 0 when the field is absent; a PictureID is
    one of 15 bits in `payload`, whatever it was before, because a receiver's offset would not fit in 7. `frame`: what
    the dependency descriptor says, where a codec's payload does not say it; None without.
    """

    __slots__ = (
        "frame",
        "height",
        "is_key_frame",
        "is_sync",
        "payload",
        "picture_id",
        "picture_id_at",
        "temporal",
        "tl0",
        "tl0_at",
    )

    def __init__(
        self,
        payload: bytes,
        is_key_frame: bool = False,
        temporal: int = 0,
        is_sync: bool = False,
        picture_id: int = 0,
        picture_id_at: int = 0,
        tl0: int = 0,
        tl0_at: int = 0,
        height: int = 0,
    ) -> None:
        self.frame: Frame | None = None
        self.payload = payload
        self.is_key_frame = is_key_frame
        self.temporal = temporal
        self.is_sync = is_sync
        self.picture_id = picture_id
        self.picture_id_at = picture_id_at
        self.tl0 = tl0
        self.tl0_at = tl0_at
        self.height = height


def read_payload(codec: Codec, payload: bytes) -> PayloadInfo:
    """What an SFU needs to know of a payload; one that is cut short or not understood is no key frame."""
    if codec == "vp8":
        return read_vp8(payload)
    if codec == "h264":
        return read_h264(payload)
    if codec == "vp9":
        return read_vp9(payload)
    if codec == "av1":
        return PayloadInfo(payload, len(payload) > 1 and bool(payload[0] & 0x08))
    return PayloadInfo(payload, is_key_frame=True)


def read_vp8(payload: bytes) -> PayloadInfo:
    """A VP8 payload; one whose descriptor is cut short is passed on as it is."""
    if not payload:
        return PayloadInfo(payload)
    first = payload[0]
    starts_frame = first & 0x17 == 0x10
    if not first & 0x80:
        is_key_frame = starts_frame and len(payload) > 1 and not payload[1] & 0x01
        return PayloadInfo(payload, is_key_frame, height=_vp8_height(payload, 1) if is_key_frame else 0)
    flags = payload[1] if len(payload) > 1 else 0
    at = 2
    picture_id = picture_id_at = tl0 = tl0_at = temporal = 0
    is_sync = False
    if flags & 0x80 and len(payload) > at:
        if not payload[at] & 0x80:
            payload = payload[:at] + b"\x80" + payload[at:]
        if len(payload) >= at + 2:
            picture_id, picture_id_at = (payload[at] & 0x7F) << 8 | payload[at + 1], at
        at += 2
    if flags & 0x40:
        if len(payload) > at:
            tl0, tl0_at = payload[at], at
        at += 1
    if flags & 0x30:
        if flags & 0x20 and len(payload) > at:
            temporal, is_sync = payload[at] >> 6, bool(payload[at] & 0x20)
        at += 1
    is_key_frame = starts_frame and len(payload) > at and not payload[at] & 0x01
    height = _vp8_height(payload, at) if is_key_frame else 0
    return PayloadInfo(payload, is_key_frame, temporal, is_sync, picture_id, picture_id_at, tl0, tl0_at, height)


def _vp8_height(payload: bytes, at: int) -> int:
    """Of a key frame, in pixels; 0 when it cannot be read: encrypted end to end, for one."""
    if payload[at + 3 : at + 6] != _VP8_START_CODE or len(payload) < at + 10:
        return 0
    return (payload[at + 9] & 0x3F) << 8 | payload[at + 8]


def read_h264(payload: bytes) -> PayloadInfo:
    """An H.264 payload: a key frame brings a sequence parameter set."""
    parameter_set = find_parameter_set(payload)
    if parameter_set is None:
        return PayloadInfo(payload)
    return PayloadInfo(payload, is_key_frame=True, height=read_height(parameter_set))


def is_vp9_key_frame(payload: bytes) -> bool:
    """Whether the payload begins the lowest spatial layer of a picture that needs no other."""
    if len(payload) < 2 or payload[0] & 0x48 != 0x08:
        return False
    if not payload[0] & 0x20:
        return True
    at = 1
    if payload[0] & 0x80:
        at += 2 if payload[1] & 0x80 else 1
    return len(payload) > at and payload[at] >> 1 & 0x07 == 0


def read_vp9(payload: bytes) -> PayloadInfo:
    """A VP9 payload; one whose descriptor is cut short is passed on as it is.

    Pictures refer to others by the difference of their ids, so that these are moved, and never closed up.
    """
    is_key_frame = is_vp9_key_frame(payload)
    picture_id = picture_id_at = tl0 = tl0_at = 0
    at = 1
    if len(payload) >= 3 and payload[0] & 0x80:
        if not payload[1] & 0x80:
            payload = payload[:1] + b"\x80" + payload[1:]
        picture_id, picture_id_at = (payload[1] & 0x7F) << 8 | payload[2], 1
        at = 3
    if payload and payload[0] & 0x20:
        at += 1
        # TL0PICIDX comes after the byte of the layers, but not in flexible mode.
        if not payload[0] & 0x10 and len(payload) > at:
            if picture_id_at:
                tl0, tl0_at = payload[at], at
            at += 1
    height = _vp9_height(payload, at) if is_key_frame and payload[0] & 0x02 else 0
    return PayloadInfo(payload, is_key_frame, 0, False, picture_id, picture_id_at, tl0, tl0_at, height)


def _vp9_height(payload: bytes, at: int) -> int:
    """Of the highest layer, by the scalability structure of a key frame; 0 when it does not say."""
    if len(payload) <= at or not payload[at] & 0x10:
        return 0
    last = at + 1 + 4 * (payload[at] >> 5)
    return payload[last + 2] << 8 | payload[last + 3] if len(payload) >= last + 4 else 0


def primary_of_red(payload: bytes) -> tuple[int, bytes] | None:
    """(payload type, data) of the newest block of a RED payload; None when the blocks do not add up."""
    at = redundant = 0
    while at < len(payload) and payload[at] & 0x80:
        if at + 4 > len(payload):
            return None
        redundant += int.from_bytes(payload[at + 2 : at + 4], "big") & 0x3FF
        at += 4
    begin = at + 1 + redundant
    if begin > len(payload):
        return None
    return payload[at] & 0x7F, payload[begin:]
