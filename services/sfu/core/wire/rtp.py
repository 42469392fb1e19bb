"""RTP packets: parsed once when they come in, into a canonical form that is cheap to rewrite for each receiver.

Sources: RFC 3550 section 5.1 (header), RFC 8285 (header extensions), RFC 4588 (repairs).
The payload past the codec's descriptor is never touched, so end-to-end encrypted frames pass.
"""

from collections.abc import Collection, Iterator
from typing import Final, final

from services.sfu.core.errors import PacketError
from services.sfu.core.wire.codec_formats import Codec, Format
from services.sfu.core.wire.codecs import PayloadInfo, primary_of_red, read_payload

HEADER_SIZE: Final = 12
MAX_PACKET_SIZE: Final = 1500

# Of header extensions, in bytes: clients send 40 or so, with the longest MID and RID 360. Raising it makes a packet of
# nothing else cost more, because each lookup walks them; lowering it does not read long names.
MAX_EXTENSION_BYTES: Final = 384

_ONE_BYTE_PROFILE: Final = 0xBEDE
_TWO_BYTE_PROFILE: Final = 0x1000
_TWO_BYTE_PROFILE_MASK: Final = 0xFFF0


@final
class RtpHeader:
    """The fixed header, and where the rest lies in the datagram.

    This class and the next ones that are made for each packet are plain: compiled, their fields are read in place.
    """

    __slots__ = (
        "extensions_at",
        "has_extensions",
        "marker",
        "payload_at",
        "payload_end",
        "payload_type",
        "sequence_number",
        "ssrc",
        "timestamp",
    )

    def __init__(
        self,
        marker: bool,
        payload_type: int,
        sequence_number: int,
        timestamp: int,
        ssrc: int,
        has_extensions: bool,
        extensions_at: int,
        payload_at: int,
        payload_end: int,
    ) -> None:
        self.marker = marker
        self.payload_type = payload_type
        self.sequence_number = sequence_number
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.has_extensions = has_extensions
        self.extensions_at = extensions_at
        self.payload_at = payload_at
        self.payload_end = payload_end


@final
class MediaPacket:
    """A publisher's packet in canonical form: what a receiver's copy is written from.

    No CSRCs, no padding, no header extensions but the audio `level` (RFC 6464, None when there was none). `extended` is
    the sequence number extended by its roll-overs. `codec` is with its profile; `plain` is what a receiver without RED
    gets.
    """

    __slots__ = ("codec", "extended", "info", "level", "marker", "plain", "sequence_number", "timestamp")

    def __init__(
        self,
        extended: int,
        sequence_number: int,
        timestamp: int,
        marker: bool,
        codec: Format,
        info: PayloadInfo,
        level: int | None = None,
        plain: "MediaPacket | None" = None,
    ) -> None:
        self.extended = extended
        self.sequence_number = sequence_number
        self.timestamp = timestamp
        self.marker = marker
        self.codec: Format = codec
        self.info = info
        self.level = level
        self.plain = plain


def is_rtcp(datagram: bytes | memoryview) -> bool:
    """Whether an RTP-range datagram is RTCP (RFC 5761 section 4)."""
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


def parse_header(datagram: bytes) -> RtpHeader:
    """The header of an RTP packet in clear text; PacketError("rtp_malformed") when it cannot be one."""
    if len(datagram) < HEADER_SIZE or datagram[0] >> 6 != 2:
        raise PacketError("rtp_malformed")
    # Byte by byte: compiled, this is a tenth of what `struct` costs.
    first, second = datagram[0], datagram[1]
    sequence_number = datagram[2] << 8 | datagram[3]
    timestamp = datagram[4] << 24 | datagram[5] << 16 | datagram[6] << 8 | datagram[7]
    ssrc = datagram[8] << 24 | datagram[9] << 16 | datagram[10] << 8 | datagram[11]
    extensions_at = HEADER_SIZE + 4 * (first & 0x0F)
    payload_at = extensions_at
    if first & 0x10:
        if len(datagram) < extensions_at + 4:
            raise PacketError("rtp_malformed")
        extension_bytes = 4 * (datagram[extensions_at + 2] << 8 | datagram[extensions_at + 3])
        if extension_bytes > MAX_EXTENSION_BYTES:
            raise PacketError("rtp_malformed")
        payload_at += 4 + extension_bytes
    payload_end = len(datagram)
    if first & 0x20:
        padding = datagram[-1]
        if padding == 0:
            raise PacketError("rtp_malformed")
        payload_end -= padding
    if payload_end < payload_at:
        raise PacketError("rtp_malformed")
    return RtpHeader(
        second >= 0x80,
        second & 0x7F,
        sequence_number,
        timestamp,
        ssrc,
        first & 0x10 != 0,
        extensions_at,
        payload_at,
        payload_end,
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
    if wanted_id is None or not header.has_extensions:
        return None
    at, end = header.extensions_at, header.payload_at
    if datagram[at] != 0xBE or datagram[at + 1] != 0xDE:
        return next((value for element_id, value in iter_extensions(datagram, header) if element_id == wanted_id), None)
    # What follows is the same for elements of one byte, without a generator: it runs for each packet that comes.
    at += 4
    while at < end:
        head = datagram[at]
        if head == 0:
            at += 1
            continue
        after = at + 2 + (head & 0x0F)
        if head >> 4 == wanted_id:
            return datagram[at + 1 : after] if after <= end else None
        if head >> 4 == 15:
            return None
        at = after
    return None


def unwrap_repair(datagram: bytes, header: RtpHeader, payload_type: int, ssrc: int) -> RtpHeader | None:
    """The header of the packet that a repair packet (RFC 4588 section 4) brings again; None for mere padding."""
    if header.payload_end - header.payload_at < 2:
        return None
    number = int.from_bytes(datagram[header.payload_at : header.payload_at + 2], "big")
    return RtpHeader(
        header.marker,
        payload_type,
        number,
        header.timestamp,
        ssrc,
        header.has_extensions,
        header.extensions_at,
        header.payload_at + 2,
        header.payload_end,
    )


def rebuild_repaired(datagram: bytes, repaired: RtpHeader) -> bytes:
    """The packet that a repair packet brings again (`unwrap_repair`), as it was but for padding.

    Its header extensions are those of the repair, which may name the layer as a repaired one.
    """
    head = bytes(
        (
            datagram[0] & ~0x20,
            0x80 * repaired.marker | repaired.payload_type,
            repaired.sequence_number >> 8,
            repaired.sequence_number & 0xFF,
        )
    )
    # The original number stands between what the packets have in common.
    rest = datagram[HEADER_SIZE : repaired.payload_at - 2] + datagram[repaired.payload_at : repaired.payload_end]
    return head + datagram[4:8] + repaired.ssrc.to_bytes(4, "big") + rest


def canonical_audio(
    datagram: bytes,
    header: RtpHeader,
    index: int,
    level_id: int | None,
    name: Format = "opus",
    opus_types: Collection[int] = (),
) -> MediaPacket:
    """An Opus or RED packet in canonical form; `level_id` is the publisher's id of the audio level extension.

    `opus_types`: its numbers of Opus. What else is in a RED packet, RED for one, goes to nobody as Opus.
    """
    number, timestamp, marker = header.sequence_number, header.timestamp, header.marker
    found = find_extension(datagram, header, level_id)
    level = found[0] if found is not None and len(found) == 1 else None
    payload = datagram[header.payload_at : header.payload_end]
    plain = None
    if name != "opus":
        newest = primary_of_red(payload)
        is_opus = newest is not None and newest[0] in opus_types
        plain_info = PayloadInfo(newest[1] if newest is not None and is_opus else b"", is_key_frame=True)
        plain = MediaPacket(index, number, timestamp, marker, "opus", plain_info, level, None)
    return MediaPacket(index, number, timestamp, marker, name, PayloadInfo(payload, is_key_frame=True), level, plain)


def canonical_video(datagram: bytes, header: RtpHeader, index: int, codec: Codec, name: Format = "") -> MediaPacket:
    """A video packet in canonical form; `name` is that of its format, if that is more than the codec."""
    info = read_payload(codec, datagram[header.payload_at : header.payload_end])
    return MediaPacket(index, header.sequence_number, header.timestamp, header.marker, name or codec, info)
