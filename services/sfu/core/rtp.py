"""RTP packets: parsed once when they come in, into a canonical form that is cheap to rewrite for each receiver.

Sources: RFC 3550 section 5.1 (header), RFC 8285 (header extensions), RFC 7741 section 4.2 (VP8 payload descriptor).
The payload past the codec's descriptor is never touched, so end-to-end encrypted frames pass.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from services.sfu.core.errors import PacketError

HEADER_SIZE = 12
MAX_PACKET_SIZE = 1500

_HEADER = Struct("!BBHII")
_ONE_BYTE_PROFILE = 0xBEDE
_TWO_BYTE_PROFILE = 0x1000
_TWO_BYTE_PROFILE_MASK = 0xFFF0

# Where the audio level's element stands in a canonical packet that has one: header, profile and length, id byte.
LEVEL_AT = HEADER_SIZE + 4
_LEVEL_BLOCK_SIZE = 8


@dataclass(frozen=True, slots=True)
class RtpHeader:
    """The fixed header, and where the rest lies in the datagram."""

    marker: bool
    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    has_extensions: bool
    extensions_at: int
    payload_at: int
    payload_end: int


@dataclass(frozen=True, slots=True)
class Vp8Descriptor:
    """The VP8 payload descriptor; the offsets count from the payload's start, None when the field is absent."""

    size: int
    is_key_frame: bool
    picture_id: int | None = None
    picture_id_at: int | None = None
    picture_id_is_long: bool = False
    tl0_pic_idx: int | None = None
    tl0_pic_idx_at: int | None = None


@dataclass(frozen=True, slots=True)
class MediaPacket:
    """A publisher's packet in canonical form.

    `data` has no CSRCs, no padding, no MID or RID; at most the audio level is left of the extensions (at LEVEL_AT),
    and a VP8 PictureID always takes 15 bits, so every receiver's copy differs only in fields of known place and size.
    `index` is the sequence number extended by its roll-overs. Offsets are 0 when the field is absent.
    """

    index: int
    sequence_number: int
    timestamp: int
    marker: bool
    is_key_frame: bool
    has_level: bool
    picture_id: int
    picture_id_at: int
    tl0_pic_idx: int
    tl0_pic_idx_at: int
    data: bytes


def is_rtcp(datagram: bytes | memoryview) -> bool:
    """Whether an RTP-range datagram is RTCP (RFC 5761 section 4)."""
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


def parse_header(datagram: bytes) -> RtpHeader:
    """The header of an RTP packet in clear text; PacketError("rtp_malformed") when it cannot be one."""
    if len(datagram) < HEADER_SIZE or datagram[0] >> 6 != 2:
        raise PacketError("rtp_malformed")
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(datagram)
    extensions_at = HEADER_SIZE + 4 * (first & 0x0F)
    payload_at = extensions_at
    if first & 0x10:
        if len(datagram) < extensions_at + 4:
            raise PacketError("rtp_malformed")
        payload_at += 4 + 4 * int.from_bytes(datagram[extensions_at + 2 : extensions_at + 4], "big")
    payload_end = len(datagram)
    if first & 0x20:
        padding = datagram[-1]
        if padding == 0:
            raise PacketError("rtp_malformed")
        payload_end -= padding
    if payload_end < payload_at:
        raise PacketError("rtp_malformed")
    return RtpHeader(
        marker=bool(second & 0x80),
        payload_type=second & 0x7F,
        sequence_number=sequence_number,
        timestamp=timestamp,
        ssrc=ssrc,
        has_extensions=bool(first & 0x10),
        extensions_at=extensions_at,
        payload_at=payload_at,
        payload_end=payload_end,
    )


def iter_extensions(datagram: bytes, header: RtpHeader) -> Iterator[tuple[int, bytes]]:
    """(id, value) of each header extension element; stops at the first that is cut short."""
    if not header.has_extensions:
        return
    profile = int.from_bytes(datagram[header.extensions_at : header.extensions_at + 2], "big")
    one_byte = profile == _ONE_BYTE_PROFILE
    if not one_byte and profile & _TWO_BYTE_PROFILE_MASK != _TWO_BYTE_PROFILE:
        return
    at, end = header.extensions_at + 4, header.payload_at
    while at < end:
        if datagram[at] == 0:
            at += 1
            continue
        if one_byte:
            element_id, size = datagram[at] >> 4, (datagram[at] & 0x0F) + 1
            at += 1
            if element_id == 15:
                return
        else:
            if at + 2 > end:
                return
            element_id, size = datagram[at], datagram[at + 1]
            at += 2
        if at + size > end:
            return
        yield element_id, datagram[at : at + size]
        at += size


def find_extension(datagram: bytes, header: RtpHeader, wanted_id: int | None) -> bytes | None:
    """The value of one header extension, or None."""
    if wanted_id is None:
        return None
    for element_id, value in iter_extensions(datagram, header):
        if element_id == wanted_id:
            return value
    return None


def parse_vp8_descriptor(payload: bytes) -> Vp8Descriptor | None:
    """The descriptor at the payload's start; None when it is cut short (an empty payload, for one)."""
    if not payload:
        return None
    starts_frame = payload[0] & 0x10 != 0 and payload[0] & 0x07 == 0
    if not payload[0] & 0x80:
        return Vp8Descriptor(1, starts_frame and len(payload) > 1 and not payload[1] & 0x01)
    if len(payload) < 2:
        return None
    flags = payload[1]
    at = 2
    picture_id = picture_id_at = tl0_pic_idx = tl0_pic_idx_at = None
    is_long = False
    if flags & 0x80:
        if len(payload) < at + 2:
            return None
        is_long = payload[at] & 0x80 != 0
        picture_id_at = at
        picture_id = int.from_bytes(payload[at : at + 2], "big") & 0x7FFF if is_long else payload[at]
        at += 2 if is_long else 1
    if flags & 0x40:
        if len(payload) <= at:
            return None
        tl0_pic_idx, tl0_pic_idx_at = payload[at], at
        at += 1
    if flags & 0x30:
        at += 1
    if len(payload) < at:
        return None
    is_key_frame = starts_frame and len(payload) > at and not payload[at] & 0x01
    return Vp8Descriptor(at, is_key_frame, picture_id, picture_id_at, is_long, tl0_pic_idx, tl0_pic_idx_at)


def canonical_audio(datagram: bytes, header: RtpHeader, index: int, level_id: int | None) -> MediaPacket:
    """An Opus packet in canonical form; `level_id` is the publisher's id of the audio level extension (RFC 6464)."""
    level = find_extension(datagram, header, level_id)
    payload = datagram[header.payload_at : header.payload_end]
    if level is None or len(level) != 1:
        data = b"\x80" + datagram[1:HEADER_SIZE] + payload
    else:
        block = b"\xbe\xde\x00\x01\x10" + level + b"\x00\x00"
        data = b"\x90" + datagram[1:HEADER_SIZE] + block + payload
    return MediaPacket(
        index=index,
        sequence_number=header.sequence_number,
        timestamp=header.timestamp,
        marker=header.marker,
        is_key_frame=True,
        has_level=len(data) - len(payload) == HEADER_SIZE + _LEVEL_BLOCK_SIZE,
        picture_id=0,
        picture_id_at=0,
        tl0_pic_idx=0,
        tl0_pic_idx_at=0,
        data=data,
    )


def canonical_vp8(datagram: bytes, header: RtpHeader, index: int) -> MediaPacket:
    """A VP8 packet in canonical form.

    A 7-bit PictureID is widened, because a receiver's offset would not fit there.
    """
    payload = datagram[header.payload_at : header.payload_end]
    descriptor = parse_vp8_descriptor(payload)
    picture_id_at = tl0_at = 0
    if descriptor is not None:
        widened = 0
        if descriptor.picture_id_at is not None:
            at = descriptor.picture_id_at
            picture_id_at = HEADER_SIZE + at
            if not descriptor.picture_id_is_long:
                payload = payload[:at] + b"\x80" + payload[at:]
                widened = 1
        if descriptor.tl0_pic_idx_at is not None:
            tl0_at = HEADER_SIZE + descriptor.tl0_pic_idx_at + widened
    return MediaPacket(
        index=index,
        sequence_number=header.sequence_number,
        timestamp=header.timestamp,
        marker=header.marker,
        is_key_frame=descriptor is not None and descriptor.is_key_frame,
        has_level=False,
        picture_id=(descriptor.picture_id or 0) if descriptor else 0,
        picture_id_at=picture_id_at,
        tl0_pic_idx=(descriptor.tl0_pic_idx or 0) if descriptor else 0,
        tl0_pic_idx_at=tl0_at,
        data=b"\x80" + datagram[1:HEADER_SIZE] + payload,
    )
