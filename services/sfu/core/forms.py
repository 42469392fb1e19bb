"""The copies that receivers get of one packet: what they share is drawn once, what is each one's own filled in.

A form is how a client wants its packets: payload types and header extensions. Receivers of the same form get images
that differ only in SSRC, sequence number, timestamp, transport-wide number, PictureID and TL0PICIDX.
"""

from struct import Struct
from typing import NamedTuple

from services.sfu.core.media_line import LEVEL_URI, SEND_TIME_URI, TRANSPORT_CC_URI, Codec, MediaLine
from services.sfu.core.rtp import HEADER_SIZE, MediaPacket

_new = tuple.__new__
_HEAD = Struct("!BBHII")
_HEAD_AND_ELEMENT = Struct("!BBHIIII")
# One word of header extension elements of one byte each (RFC 8285 section 4.2).
_ONE_WORD = 0xBEDE0001

# Where the receiver's own fields are: sequence number, timestamp and SSRC; the transport-wide number.
OWN_AT, NUMBER_AT = 2, HEADER_SIZE + 5


class Image(NamedTuple):
    """A copy but for the receiver's own fields, and the source's numbers that they are made of.

    `picture_id_at` and `tl0_at` are places in `data`, 0 without. `sent` is for the path's history, when it is sent and
    its bytes; None for a copy that takes no transport-wide number.
    """

    data: bytes
    sequence_number: int
    timestamp: int
    picture_id: int
    picture_id_at: int
    tl0: int
    tl0_at: int
    sent: tuple[float, int] | None


class Form(NamedTuple):
    """Extension ids are 0 where the client does not take them. `stamp_id`: bandwidth estimation, by transport-wide
    number if `is_numbered`, else by send time."""

    payload_types: tuple[tuple[Codec, int], ...]
    level_id: int
    stamp_id: int
    is_numbered: bool

    def suit(self, packet: MediaPacket) -> tuple[MediaPacket, int]:
        """The packet in a codec that the client takes, and its payload type."""
        for codec, payload_type in self.payload_types:
            if codec == packet.codec:
                return packet, payload_type
        return (packet, 0) if packet.plain is None else self.suit(packet.plain)

    def draw(
        self, packet: MediaPacket, payload_type: int, now: float, *, prefix: bytes = b"", is_hollow: bool = False
    ) -> Image:
        """The image of a packet that is sent at `now`, with `prefix` before its payload; a hollow one has none."""
        _, sequence_number, timestamp, marker, _, frame, level, _ = packet
        payload = b"" if is_hollow else frame.payload
        second = payload_type | 0x80 if marker else payload_type
        _, level_id, stamp_id, is_numbered = self
        # The extension element: a stamp (room for a number, or 24 bits of 6.18 fixed-point send time), or a level.
        element = 0
        if stamp_id:
            stamp = 1 << 24 if is_numbered else 2 << 24 | int(now * 262144) & 0xFFFFFF
            element = stamp_id << 28 | stamp
        elif level_id and level is not None:
            element = level_id << 28 | level << 16
        if element:
            head = _HEAD_AND_ELEMENT.pack(0x90, second, 0, 0, 0, _ONE_WORD, element) + prefix
        else:
            head = _HEAD.pack(0x80, second, 0, 0, 0) + prefix
        picture_id_at = tl0_at = 0
        if frame.picture_id_at and payload:
            picture_id_at = len(head) + frame.picture_id_at
            tl0_at = len(head) + frame.tl0_at if frame.tl0_at else 0
        data = head + payload
        sent = (now, len(data)) if stamp_id and is_numbered else None
        # A named tuple's own constructor costs three times as much, for each packet that comes.
        return _new(
            Image,
            (
                data,
                sequence_number,
                timestamp,
                frame.picture_id,
                picture_id_at,
                frame.tl0,
                tl0_at,
                sent,
            ),
        )


def form_of(line: MediaLine) -> Form:
    """How a receive-only m-line wants its packets."""
    level = line.extensions.get(LEVEL_URI, 0) if line.kind == "audio" else 0
    uri = TRANSPORT_CC_URI if line.has_transport_cc else SEND_TIME_URI
    stamp = line.extensions.get(uri, 0) if line.kind == "video" else 0
    return Form(
        tuple((codec.codec, codec.payload_type) for codec in line.codecs),
        # Ids beyond 14 would need elements of two bytes.
        level if level < 15 else 0,
        stamp if stamp < 15 else 0,
        line.has_transport_cc,
    )
