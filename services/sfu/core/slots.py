"""Receive slots: one outbound stream each, whatever publisher or layer is on it at the moment.

The SSRC stays for the participant's life. When the source changes, which only a key frame can do, offsets on sequence
number, timestamp, PictureID and TL0PICIDX make the new source go on where the old one ended (offsets.py).

Within one source a packet's offsets never change and packets from before its key frame are never let through, so the
same (SSRC, sequence number) always stands for the same bytes. SRTP's counter modes depend on that. A repair goes out
on an SSRC of its own with a number of its own (RFC 4588) where the receiver took that; else it is the same bytes again.
"""

from array import array
from dataclasses import dataclass
from struct import Struct

from services.sfu.core.budgets import BackingOff
from services.sfu.core.ids import Kind, ParticipantNumber
from services.sfu.core.layers import ALL_TEMPORAL
from services.sfu.core.media_line import LEVEL_URI, SEND_TIME_URI, TRANSPORT_CC_URI, MediaLine
from services.sfu.core.offsets import Offsets
from services.sfu.core.path import DownlinkPath
from services.sfu.core.publications import CLOCK_RATES, InboundStream, Publication
from services.sfu.core.rtcp import ReportBlock, SenderReport
from services.sfu.core.rtp import HEADER_SIZE, MediaPacket

_HEAD = Struct("!BBHII")
_HEAD_AND_ELEMENT = Struct("!BBHIIII")
_PICTURE_ID = Struct("!H")
_ORIGINAL = Struct("!H")
# One word of header extension elements of one byte each (RFC 8285 section 4.2).
_ONE_WORD = 0xBEDE0001

# A packet is not sent again sooner than this. Higher: repair of a lost repair waits. Lower: duplicates on long paths.
RESEND_INTERVAL_S = 0.025
# Retransmissions a second and slot. Higher: helps on bad paths. Lower: less to gain for who asks without need.
MAX_RESENDS_PER_S = 400
# Stamps kept for repairs without an SSRC of their own; at least as many as the ring of a publisher has packets.
_KEPT_STAMPS = 1024


@dataclass(slots=True)
class Downlink:
    """What the receiver said last of this slot: loss 0 to 1 since its report before, jitter in seconds."""

    loss: float = 0.0
    jitter_s: float = 0.0
    packets_lost: int = 0


@dataclass(frozen=True, slots=True)
class Numbering:
    """Where a slot's streams begin: SSRC and sequence number of the media and of its repairs, and the timestamp."""

    ssrc: int
    sequence_number: int
    repair_ssrc: int
    repair_sequence_number: int
    timestamp: int


class ReceiveSlot:
    """One receive-only m-line of a participant, the `receiver`, at the end of its `path`."""

    def __init__(self, receiver: ParticipantNumber, line: MediaLine, numbering: Numbering, path: DownlinkPath) -> None:
        self.receiver = receiver
        self.kind: Kind = line.media_kind
        self.mid = line.mid
        self.ssrc, self.repair_ssrc = numbering.ssrc, numbering.repair_ssrc
        self.path = path
        self.publication: Publication | None = None
        self.max_height = self.weight = 0
        self.downlink = Downlink()
        self.key_frame_requests = BackingOff()
        self.packets = self.bytes = 0
        self.payload_types = {codec.codec: codec.payload_type for codec in line.codecs}
        self._repair_types = {c.codec: c.rtx_payload_type for c in line.codecs if c.rtx_payload_type is not None}
        self._level_id, self._stamp_id, self._is_transport_cc = _element_ids(line)
        self._stamps: array[int] | None = None
        if self._stamp_id and not self._repair_types:
            self._stamps = array("I", bytes(4 * _KEPT_STAMPS))
        self._source: InboundStream | None = None
        self._wanted: InboundStream | None = None
        self._offsets = Offsets(numbering.sequence_number, numbering.timestamp)
        self._next_repair = numbering.repair_sequence_number
        self._last_sent_at: float | None = None
        self._resent: dict[int, float] = {}
        self._resends, self._resends_began = 0, 0.0

    @property
    def source(self) -> InboundStream | None:
        """The stream that is being forwarded."""
        return self._source

    @property
    def wanted(self) -> InboundStream | None:
        """The stream whose next key frame takes the slot, if that is another than the source."""
        return self._wanted

    @property
    def temporal(self) -> int:
        """The highest temporal layer that is let through, or will be."""
        return self._offsets.wanted_temporal

    @property
    def can_probe(self) -> bool:
        """Whether packets may be sent again without need, to try the path."""
        return self._source is not None and self._source.codec in self._repair_types

    def assign(self, publication: Publication | None) -> None:
        """Give the slot to a publication, or free it. The caller keeps `Publication.slots` in step."""
        self.publication = publication
        self._source = self._wanted = None

    def want(self, stream: InboundStream | None, temporal: int = ALL_TEMPORAL) -> None:
        """Aim at a stream of the publication and its highest temporal layer; None stops sending."""
        if stream is None:
            self._source = self._wanted = None
            return
        self._wanted = None if stream is self._source else stream
        self._offsets.want_temporal(temporal)

    def accept(self, stream: InboundStream, packet: MediaPacket, now: float) -> bool:
        """Whether the packet is to be sent on this slot; a key frame of the wanted stream takes the slot here."""
        if stream is not self._source:
            if stream is not self._wanted or not packet.frame.is_key_frame:
                return False
            self._switch(stream, packet, now)
        elif not self._offsets.take(packet):
            return False
        self._last_sent_at = now
        return True

    def _switch(self, stream: InboundStream, packet: MediaPacket, now: float) -> None:
        elapsed_s = 0.0 if self._last_sent_at is None else now - self._last_sent_at
        self._source, self._wanted = stream, None
        self._offsets.switch(packet, max(int(elapsed_s * CLOCK_RATES[self.kind]), 1))
        self._offsets.advance(packet)
        self._resent.clear()

    def write(self, packet: MediaPacket, out: memoryview, now: float) -> int:
        """Write the receiver's copy of an accepted packet into `out`; gives its size in bytes."""
        payload_type = self.payload_types.get(packet.codec)
        if payload_type is None and packet.plain is not None:
            packet = packet.plain
            payload_type = self.payload_types.get(packet.codec)
        number = self._offsets.sequence_number(packet)
        size = self._write(packet, out, payload_type or 0, number, self.ssrc, b"", now)
        self.packets += 1
        self.bytes += size
        return size

    def write_repair(self, packet: MediaPacket, out: memoryview, now: float) -> int:
        """Write a packet for the second time; gives its size in bytes."""
        number = self._offsets.sequence_number(packet)
        repair_type = self._repair_types.get(packet.codec)
        if repair_type is None:
            return self._write_again(packet, number, out)
        own, self._next_repair = self._next_repair, (self._next_repair + 1) & 0xFFFF
        return self._write(packet, out, repair_type, own, self.repair_ssrc, _ORIGINAL.pack(number), now)

    def _write(
        self, packet: MediaPacket, out: memoryview, payload_type: int, number: int, ssrc: int, prefix: bytes, now: float
    ) -> int:
        offsets, frame = self._offsets, packet.frame
        payload = frame.payload
        if offsets.hollow and packet.extended in offsets.hollow:
            payload = b""
        second = payload_type | 0x80 if packet.marker else payload_type
        timestamp = (packet.timestamp + offsets.timestamp) & 0xFFFFFFFF
        at = 20 + len(prefix)
        size = at + len(payload)
        if self._stamp_id:
            element = self._stamp(size, number, now)
            _HEAD_AND_ELEMENT.pack_into(out, 0, 0x90, second, number, timestamp, ssrc, _ONE_WORD, element)
        elif packet.level is not None and self._level_id:
            element = self._level_id << 28 | packet.level << 16
            _HEAD_AND_ELEMENT.pack_into(out, 0, 0x90, second, number, timestamp, ssrc, _ONE_WORD, element)
        else:
            _HEAD.pack_into(out, 0, 0x80, second, number, timestamp, ssrc)
            at -= 8
            size -= 8
        if prefix:
            out[at - len(prefix) : at] = prefix
        out[at:size] = payload
        if frame.picture_id_at and payload:
            _PICTURE_ID.pack_into(out, at + frame.picture_id_at, 0x8000 | offsets.picture_id(packet))
            if frame.tl0_at:
                out[at + frame.tl0_at] = (frame.tl0 + offsets.tl0) & 0xFF
        self.path.sent_bytes += size
        return size

    def _stamp(self, size: int, number: int, now: float) -> int:
        """The element for bandwidth estimation: transport-wide number, or 24 bits of 6.18 fixed-point send time."""
        if self._is_transport_cc:
            element = self._stamp_id << 28 | 1 << 24 | self.path.history.stamp(size, now) << 8
        else:
            element = self._stamp_id << 28 | 2 << 24 | int(now * 262144) & 0xFFFFFF
        if self._stamps is not None:
            self._stamps[number % _KEPT_STAMPS] = element
        return element

    def _write_again(self, packet: MediaPacket, number: int, out: memoryview) -> int:
        kept, stamp = self._stamps, self._stamps[number % _KEPT_STAMPS] if self._stamps is not None else 0
        packets, size_before = self.packets, self.bytes
        size = self.write(packet, out, 0.0)
        self.packets, self.bytes = packets, size_before
        if kept is not None:
            kept[number % _KEPT_STAMPS] = stamp
            out[16:20] = stamp.to_bytes(4, "big")
        return size

    def find_lost(self, sequence_number: int, now: float) -> MediaPacket | None:
        """The packet behind a sequence number of this slot, to be sent again; None when that must not or cannot be."""
        if self._source is None:
            return None
        if now - self._resends_began >= 1.0:
            self._resends, self._resends_began = 0, now
            self._resent.clear()
        if self._resends >= MAX_RESENDS_PER_S:
            return None
        packet = self._offsets.find(sequence_number, self._source.ring)
        if packet is None or now - self._resent.get(sequence_number, -1e9) < RESEND_INTERVAL_S:
            return None
        self._resent[sequence_number] = now
        self._resends += 1
        return packet

    def find_probe(self) -> MediaPacket | None:
        """The last packet that was sent, to be sent once more for the path's sake."""
        return self._offsets.find_last(self._source.ring) if self._source is not None else None

    def handle_report(self, block: ReportBlock) -> None:
        """Take in the receiver's report on this slot."""
        self.downlink.loss = block.fraction_lost / 256
        self.downlink.jitter_s = block.jitter / CLOCK_RATES[self.kind]
        self.downlink.packets_lost = block.packets_lost

    def sender_report(self, ntp: int, now: float) -> SenderReport | None:
        """The SR for this slot: `ntp` is the NTP time at `now`. None before the first packet."""
        if self._last_sent_at is None:
            return None
        elapsed = int((now - self._last_sent_at) * CLOCK_RATES[self.kind])
        timestamp = (self._offsets.last_timestamp + elapsed) & 0xFFFFFFFF
        return SenderReport(self.ssrc, ntp, timestamp, self.packets, self.bytes - HEADER_SIZE * self.packets)


def _element_ids(line: MediaLine) -> tuple[int, int, bool]:
    """Ids of the audio level and of the stamp for bandwidth estimation, 0 without; and whether that is transport-cc."""
    level = line.extensions.get(LEVEL_URI, 0) if line.kind == "audio" else 0
    uri = TRANSPORT_CC_URI if line.has_transport_cc else SEND_TIME_URI
    stamp = line.extensions.get(uri, 0) if line.kind == "video" else 0
    # Ids beyond 14 would need elements of two bytes.
    return level if level < 15 else 0, stamp if stamp < 15 else 0, line.has_transport_cc
