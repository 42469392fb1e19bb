"""Receive slots: one outbound stream each, whatever publisher or layer is on it at the moment.

The SSRC stays for the participant's life. When the source changes, which only a key frame can do, offsets on sequence
number, timestamp, PictureID and TL0PICIDX make the new source go on where the old one ended.

Within one source the offsets never change and packets from before its key frame are never let through, so the same
(SSRC, sequence number) always stands for the same bytes. SRTP's counter modes depend on that.
"""

from dataclasses import dataclass
from struct import Struct

from services.sfu.core.ids import Kind, ParticipantNumber
from services.sfu.core.layers import LayerLimit
from services.sfu.core.publications import CLOCK_RATES, InboundStream, Publication
from services.sfu.core.rtcp import ReportBlock, SenderReport
from services.sfu.core.rtp import HEADER_SIZE, LEVEL_AT, MediaPacket
from services.sfu.core.sdp import LEVEL_URI, MediaLine

_REWRITTEN = Struct("!BHII")
_PICTURE_ID = Struct("!H")

# A packet is not sent again sooner than this. Higher: repair of a lost repair waits. Lower: duplicates on long paths.
RESEND_INTERVAL_S = 0.025
# Retransmissions a second and slot. Higher: helps on bad paths. Lower: less to gain for who asks without need.
MAX_RESENDS_PER_S = 400


@dataclass(slots=True)
class Downlink:
    """What the receiver said last of this slot: loss 0 to 1 since its report before, jitter in seconds."""

    loss: float = 0.0
    jitter_s: float = 0.0
    packets_lost: int = 0


class ReceiveSlot:
    """One receive-only m-line of a participant, the `receiver`."""

    def __init__(
        self,
        receiver: ParticipantNumber,
        line: MediaLine,
        ssrc: int,
        first_sequence_number: int,
        first_timestamp: int,
    ) -> None:
        self.receiver = receiver
        self.kind: Kind = line.media_kind
        self.mid = line.mid
        self.ssrc = ssrc
        self.publication: Publication | None = None
        self.limit = LayerLimit()
        self.downlink = Downlink()
        self.packets = 0
        self.bytes = 0
        self.repairs = "nack" in line.feedback
        self._payload_type = line.payload_type or 0
        level_id = line.extensions.get(LEVEL_URI, 0)
        self._level_element = bytes(((level_id & 0x0F) << 4,)) if 0 < level_id < 15 else b""
        self._source: InboundStream | None = None
        self._wanted: InboundStream | None = None
        self._first_index = 0
        self._sequence_offset = self._timestamp_offset = 0
        self._picture_id_offset = self._tl0_offset = 0
        self._next_sequence_number = first_sequence_number
        self._next_index = 0
        self._last_timestamp = first_timestamp
        self._last_picture_id = self._last_tl0 = 0
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

    def assign(self, publication: Publication | None) -> None:
        """Give the slot to a publication, or free it. The caller keeps `Publication.slots` in step."""
        self.publication = publication
        self._source = self._wanted = None
        self.limit.reset()

    def want(self, stream: InboundStream) -> bool:
        """Aim at a stream of the publication; True when that needs a key frame that was not asked for before."""
        if stream is self._source:
            self._wanted = None
            return False
        is_new = stream is not self._wanted
        self._wanted = stream
        return is_new

    def accept(self, stream: InboundStream, packet: MediaPacket, now: float) -> bool:
        """Whether the packet is to be sent on this slot; a key frame of the wanted stream takes the slot here."""
        if stream is self._source:
            if packet.index < self._first_index:
                return False
        elif stream is self._wanted and packet.is_key_frame:
            self._switch(stream, packet, now)
        else:
            return False
        self._advance(packet, now)
        return True

    def _switch(self, stream: InboundStream, packet: MediaPacket, now: float) -> None:
        clock_rate = CLOCK_RATES[self.kind]
        elapsed_s = 0.0 if self._last_sent_at is None else now - self._last_sent_at
        timestamp = self._last_timestamp + max(int(elapsed_s * clock_rate), 1)
        self._source, self._wanted = stream, None
        self._first_index = packet.index
        self._next_index = packet.index
        self._sequence_offset = self._next_sequence_number - packet.sequence_number
        self._timestamp_offset = timestamp - packet.timestamp
        self._picture_id_offset = self._last_picture_id + 1 - packet.picture_id
        self._tl0_offset = self._last_tl0 + 1 - packet.tl0_pic_idx
        self._resent.clear()

    def _advance(self, packet: MediaPacket, now: float) -> None:
        self.packets += 1
        self.bytes += len(packet.data)
        if packet.index < self._next_index:
            return
        self._next_index = packet.index + 1
        self._next_sequence_number = (packet.sequence_number + self._sequence_offset + 1) & 0xFFFF
        self._last_timestamp = (packet.timestamp + self._timestamp_offset) & 0xFFFFFFFF
        self._last_sent_at = now
        if packet.picture_id_at:
            self._last_picture_id = (packet.picture_id + self._picture_id_offset) & 0x7FFF
        if packet.tl0_pic_idx_at:
            self._last_tl0 = (packet.tl0_pic_idx + self._tl0_offset) & 0xFF

    def write(self, packet: MediaPacket, out: memoryview) -> int:
        """Write the receiver's copy of an accepted packet into `out`; gives its size in bytes."""
        size = len(packet.data)
        out[:size] = packet.data
        _REWRITTEN.pack_into(
            out,
            1,
            self._payload_type | 0x80 if packet.marker else self._payload_type,
            (packet.sequence_number + self._sequence_offset) & 0xFFFF,
            (packet.timestamp + self._timestamp_offset) & 0xFFFFFFFF,
            self.ssrc,
        )
        if packet.has_level:
            # Two zero bytes are padding (RFC 8285 section 4.2): for a receiver that did not take the extension.
            out[LEVEL_AT : LEVEL_AT + 2] = (
                self._level_element + packet.data[LEVEL_AT + 1 : LEVEL_AT + 2] if self._level_element else b"\0\0"
            )
        if packet.picture_id_at:
            picture_id = (packet.picture_id + self._picture_id_offset) & 0x7FFF
            _PICTURE_ID.pack_into(out, packet.picture_id_at, 0x8000 | picture_id)
        if packet.tl0_pic_idx_at:
            out[packet.tl0_pic_idx_at] = (packet.tl0_pic_idx + self._tl0_offset) & 0xFF
        return size

    def find_lost(self, sequence_number: int, now: float) -> MediaPacket | None:
        """The packet behind a sequence number of this slot, to be sent again; None when that must not or cannot be."""
        if self._source is None:
            return None
        if now - self._resends_began >= 1.0:
            self._resends, self._resends_began = 0, now
            self._resent.clear()
        packet = self._source.ring.get((sequence_number - self._sequence_offset) & 0xFFFF)
        if packet is None or packet.index < self._first_index or self._resends >= MAX_RESENDS_PER_S:
            return None
        if now - self._resent.get(sequence_number, -1e9) < RESEND_INTERVAL_S:
            return None
        self._resent[sequence_number] = now
        self._resends += 1
        self.packets += 1
        self.bytes += len(packet.data)
        return packet

    def handle_report(self, block: ReportBlock, estimate_bps: float | None, now: float) -> None:
        """Take in the receiver's report on this slot."""
        self.downlink.loss = block.fraction_lost / 256
        self.downlink.jitter_s = block.jitter / CLOCK_RATES[self.kind]
        self.downlink.packets_lost = block.packets_lost
        if self.publication is not None and self._source is not None and self.kind == "video":
            layers = len(self.publication.layers)
            self.limit.handle_report(self.downlink.loss, estimate_bps, self._source.rate.rate_bps, layers, now)

    def sender_report(self, ntp: int, now: float) -> SenderReport | None:
        """The SR for this slot: `ntp` is the NTP time at `now`. None before the first packet."""
        if self._last_sent_at is None:
            return None
        elapsed = int((now - self._last_sent_at) * CLOCK_RATES[self.kind])
        timestamp = (self._last_timestamp + elapsed) & 0xFFFFFFFF
        return SenderReport(self.ssrc, ntp, timestamp, self.packets, self.bytes - HEADER_SIZE * self.packets)
