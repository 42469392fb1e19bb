"""How a client wants its packets, and the copies that are made for it.

A packet format is payload types and header extensions. For receivers of one format a packet is rendered once, into a
template: their copies differ only in SSRC, sequence number, timestamp, transport-wide number, PictureID and TL0PICIDX,
which are filled in for each (subscribers.py).
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Final, final

from services.sfu.core.wire.codec_formats import Format
from services.sfu.core.wire.media_line import LEVEL_URI, SEND_TIME_URI, TRANSPORT_CC_URI, MediaLine
from services.sfu.core.wire.rtp import HEADER_SIZE, MAX_PACKET_SIZE, MediaPacket

_EXTENSION: Final = Struct("!II")
# One word of header extension elements of one byte each (RFC 8285 section 4.2).
_ONE_WORD: Final = 0xBEDE0001

# Where the transport-wide number is.
NUMBER_AT: Final = HEADER_SIZE + 5


@lru_cache(maxsize=MAX_PACKET_SIZE)
def _writer(rest_size: int) -> Callable[..., None]:
    return Struct(f"!HHII{rest_size}s").pack_into


@final
class PacketTemplate:
    """A copy but for the receiver's own fields, and the source's numbers that they are made of.

    `picture_id_at` and `tl0_at` are offsets in the packet, 0 without. `sent` is for the path's history, when it is sent
    and its bytes; None for a copy that takes no transport-wide number.
    """

    __slots__ = (
        "pack_into",
        "picture_id",
        "picture_id_at",
        "rest",
        "sent",
        "sequence_number",
        "size",
        "start",
        "timestamp",
        "tl0",
        "tl0_at",
    )

    def __init__(
        self,
        start: int,
        rest: bytes,
        sequence_number: int,
        timestamp: int,
        picture_id: int,
        picture_id_at: int,
        tl0: int,
        tl0_at: int,
    ) -> None:
        # The first two bytes, and all behind the fixed header; what writes both with the receiver's own between them.
        self.start = start
        self.rest = rest
        self.size = HEADER_SIZE + len(rest)
        self.pack_into = _writer(len(rest))
        self.sequence_number = sequence_number
        self.timestamp = timestamp
        self.picture_id = picture_id
        self.picture_id_at = picture_id_at
        self.tl0 = tl0
        self.tl0_at = tl0_at
        self.sent: tuple[float, int] | None = None


@final
class PacketFormat:
    """Extension ids are 0 where the client does not take them. `stamp_id`: bandwidth estimation, by transport-wide
    number if `is_numbered`, else by send time. `redundant_types`: those of RED and Opus, where the client prefers RED
    and its voices are to be sent so now (redundancy.py). Equal formats are the same key."""

    __slots__ = ("is_numbered", "level_id", "payload_types", "redundant_types", "stamp_id")

    def __init__(
        self,
        payload_types: tuple[tuple[Format, int], ...],
        level_id: int,
        stamp_id: int,
        is_numbered: bool,
        redundant_types: tuple[int, int] | None = None,
    ) -> None:
        self.payload_types = payload_types
        self.redundant_types = redundant_types
        self.level_id = level_id
        self.stamp_id = stamp_id
        self.is_numbered = is_numbered

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PacketFormat) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.payload_types, self.level_id, self.stamp_id, self.is_numbered, self.redundant_types

    def with_redundancy(self, types: tuple[int, int] | None) -> "PacketFormat":
        """The same with voices in RED, of these payload types, or without it."""
        return PacketFormat(self.payload_types, self.level_id, self.stamp_id, self.is_numbered, types)

    def choose_codec(self, packet: MediaPacket) -> tuple[MediaPacket, int]:
        """The packet in a codec that the client takes, and its payload type."""
        for codec, payload_type in self.payload_types:
            if codec == packet.codec:
                return packet, payload_type
        return (packet, 0) if packet.plain is None else self.choose_codec(packet.plain)

    def render(
        self,
        packet: MediaPacket,
        payload_type: int,
        now: float,
        *,
        prefix: bytes = b"",
        is_empty: bool = False,
        is_last: bool = False,
    ) -> PacketTemplate:
        """The template of a packet that is sent at `now`, with `prefix` before its payload; an empty one has none.

        `is_last`: it has the marker, as the last of its picture that is sent.
        """
        info, level = packet.info, packet.level
        payload = b"" if is_empty else info.payload
        second = payload_type | 0x80 if packet.marker or is_last else payload_type
        stamp_id = self.stamp_id
        # The extension element: a stamp (space for a number, or 24 bits of 6.18 fixed-point send time), or a level.
        element = 0
        if stamp_id:
            stamp = 1 << 24 if self.is_numbered else 2 << 24 | int(now * 262144) & 0xFFFFFF
            element = stamp_id << 28 | stamp
        elif self.level_id and level is not None:
            element = self.level_id << 28 | level << 16
        before = _EXTENSION.pack(_ONE_WORD, element) + prefix if element else prefix
        picture_id_at = tl0_at = 0
        if info.picture_id_at and payload:
            payload_at = HEADER_SIZE + len(before)
            picture_id_at = payload_at + info.picture_id_at
            tl0_at = payload_at + info.tl0_at if info.tl0_at else 0
        start = (0x9000 if element else 0x8000) | second
        number, timestamp = packet.sequence_number, packet.timestamp
        template = PacketTemplate(
            start, before + payload, number, timestamp, info.picture_id, picture_id_at, info.tl0, tl0_at
        )
        if stamp_id and self.is_numbered:
            template.sent = now, template.size
        return template


def packet_format_of(line: MediaLine) -> PacketFormat:
    """How an m-line on which the client receives wants its packets."""
    level = line.received_extensions.get(LEVEL_URI, 0) if line.kind == "audio" else 0
    uri = TRANSPORT_CC_URI if line.has_transport_cc else SEND_TIME_URI
    stamp = line.received_extensions.get(uri, 0) if line.kind == "video" else 0
    return PacketFormat(
        tuple((name, codec.payload_type) for name, codec in line.decodable.items()),
        # Ids beyond 14 would need elements of two bytes.
        level if level < 15 else 0,
        stamp if stamp < 15 else 0,
        line.has_transport_cc,
    )


def redundant_types_of(line: MediaLine) -> tuple[int, int] | None:
    """The payload types of RED and of the Opus within, of a line on which the client prefers RED: it stands first.

    None where the client asks for lost audio itself: a number that stands for a RED packet must not go out again as
    mere Opus.
    """
    decodable = line.decodable
    opus = decodable.get("opus")
    if opus is None or any("nack" in codec.feedback for codec in line.codecs):
        return None
    name, first = next(iter(decodable.items()))
    return (first.payload_type, opus.payload_type) if name == f"red/{opus.payload_type}" else None
