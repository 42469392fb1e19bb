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
from typing import Final

from services.sfu.core.congestion.downlink import DownlinkPath
from services.sfu.core.forwarding.key_frame_backoff import KeyFrameBackoff
from services.sfu.core.forwarding.offsets import Offsets
from services.sfu.core.forwarding.packet_formats import packet_format_of, redundant_types_of
from services.sfu.core.forwarding.publications import CLOCK_RATES, InboundStream, Publication
from services.sfu.core.forwarding.redundancy import RedundancySwitch
from services.sfu.core.forwarding.sender_clock import RtpClock, timestamp_difference
from services.sfu.core.forwarding.subscribers import CopyGroup, Numbers, Subscriber, WriteBuffer, fill
from services.sfu.core.ids import Kind, ParticipantKey, ParticipantNumber
from services.sfu.core.wire.codecs import ALL_SPATIAL, ALL_TEMPORAL
from services.sfu.core.wire.media_line import MediaLine
from services.sfu.core.wire.rtcp import ReportBlock, SenderReport
from services.sfu.core.wire.rtp import HEADER_SIZE, MediaPacket

_ORIGINAL: Final = Struct("!H")

# A packet is not sent again sooner than this. Raising it delays the repair of a lost repair; lowering it sends
# duplicates on long paths.
RESEND_INTERVAL_S: Final = 0.025
# Retransmissions a second and slot. Raising it helps on bad paths; lowering it bounds what needless requests cost.
MAX_RESENDS_PER_S: Final = 400
# A publisher that has not reported for this long on what it sends does not report at all. Raising it tells round trips
# to its receivers later; lowering it ties sound and picture by their arrival before the publisher says how.
FIRST_REPORT_S: Final = 6.0
# A publisher's clocks count between two of its streams while they are no further than this from the times of arrival.
# Raising it believes reports of before a restart; lowering it lets a slow path shift the picture against the sound.
MAX_SHIFT_S: Final = 1.0
# Where the element for bandwidth estimation is, in a copy.
_STAMP: Final = slice(16, 20)
# Stamps kept for repairs without an SSRC of their own; at least as many as the ring of a publisher has packets.
_KEPT_STAMPS: Final = 1024


@dataclass(slots=True)
class DownlinkReport:
    """What the receiver said last of this slot: jitter in seconds, and what it lost of all that was sent to it.

    What its publisher had lost is missing there too, but is not counted.
    """

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


class ReceiveSlot(Subscriber):
    """One m-line of a participant on which it receives, the `receiver`, at the end of its `path`."""

    def __init__(self, receiver: ParticipantNumber, line: MediaLine, numbering: Numbering, path: DownlinkPath) -> None:
        super().__init__(receiver)
        self.kind: Kind = line.media_kind
        self.mid = line.mid
        # The client sends on the line too.
        self.is_shared = line.client_sends
        self.plays_stereo = line.plays_stereo
        self.ssrc, self.repair_ssrc = numbering.ssrc, numbering.repair_ssrc
        self.path = path
        self.publication: Publication | None = None
        self.max_height = self.weight = 0
        self.downlink = DownlinkReport()
        self.key_frame_requests = KeyFrameBackoff()
        self.packet_format = packet_format_of(line)
        self._redundant_types = redundant_types_of(line) if self.kind == "audio" else None
        # Of a client that prefers RED.
        self.redundancy = RedundancySwitch() if self._redundant_types is not None else None
        decodable = line.decodable
        self.formats = frozenset(decodable)
        self._repair_types = {f: c.rtx_payload_type for f, c in decodable.items() if c.rtx_payload_type is not None}
        self._stamps: array[int] | None = None
        if self.packet_format.stamp_id and len(self._repair_types) < len(decodable):
            # Some of what it takes is repaired by the same bytes again.
            self._stamps = array("I", bytes(4 * _KEPT_STAMPS))
        # Without what the group counts since the slot is in it.
        self._packets = self._bytes = 0
        self._group: CopyGroup | None = None
        self._source: InboundStream | None = None
        self._wanted: InboundStream | None = None
        self._offsets = Offsets(numbering.sequence_number, numbering.timestamp)
        self._next_repair = numbering.repair_sequence_number
        self._last_sent_at: float | None = None
        self._switched_at = 0.0
        # Whose the source was that is left, and what of the slot's own timestamps stood for which moment.
        self._left: tuple[ParticipantKey, RtpClock] | None = None
        self._reported: int | None = None
        # Numbers without a packet at the last report: lost on the publisher's way up, which is no fault of this path.
        self._unsent = 0
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
    def spatial(self) -> int:
        """The highest spatial layer of the source that is let through, or will be."""
        return self._offsets.wanted_spatial

    @property
    def needs_key_frame(self) -> bool:
        """Whether only a key frame of the source itself brings the layers of it that are wanted."""
        return self._source is not None and self._wanted is None and self._offsets.is_stuck

    @property
    def has_more(self) -> bool:
        """Whether it has more spatial layers of the source than are wanted, until a frame allows to leave them out."""
        return self._offsets.has_more

    @property
    def height(self) -> int:
        """Of what is on the slot, in pixels; 0 when that is not known."""
        return 0 if self._source is None else self._source.height_of(self._offsets.wanted_spatial)

    @property
    def can_probe(self) -> bool:
        """Whether packets may be sent again without need, to try the path."""
        return self._source is not None and self._source.format in self._repair_types

    @property
    def packets(self) -> int:
        """Sent so far, without repairs."""
        return self._packets + (self._group.packets if self._group is not None else 0)

    @property
    def bytes(self) -> int:
        """Theirs, headers included."""
        return self._bytes + (self._group.bytes if self._group is not None else 0)

    def assign(self, publication: Publication) -> None:
        """Give the slot to a publication. The caller keeps `Publication.slots` in step, here and below."""
        self.free()
        self.publication = publication

    def free(self) -> None:
        """Take it from its publication."""
        self.publication = None
        self._await(None)
        self._leave()

    def want(self, stream: InboundStream | None, temporal: int = ALL_TEMPORAL, spatial: int = ALL_SPATIAL) -> None:
        """Go over to a stream of the publication and its highest layers; None stops sending."""
        if stream is None:
            self._await(None)
            self._leave()
            return
        self._await(None if stream is self._source else stream)
        if temporal != self._offsets.wanted_temporal or spatial != self._offsets.wanted_spatial:
            self._part()
            self._offsets.want_layers(spatial, temporal)

    def note_loss(self, expected: int, lost: int) -> None:
        """Send voices in RED from now on, or without it, by what the receiver has lost."""
        if self.redundancy is not None and self.redundancy.note_report(expected, lost):
            self._part()
            types = self._redundant_types if self.redundancy.is_on else None
            self.packet_format = self.packet_format.with_redundancy(types)

    def stop(self) -> None:
        """Send nothing more of the source, but go on waiting for the key frame of what is wanted."""
        self._leave()

    def _await(self, stream: InboundStream | None) -> None:
        """Wait for a key frame of this stream, and of no other."""
        if stream is not self._wanted:
            if self._wanted is not None:
                del self._wanted.subscribers.waiting[self]
            if stream is not None:
                stream.subscribers.waiting[self] = None
            self._wanted = stream

    def accept(self, packet: MediaPacket, now: float) -> bool:
        """See Subscriber."""
        self._catch_up()
        if not self._offsets.take(packet):
            return False
        self._last_sent_at = now
        return True

    def switch(self, packet: MediaPacket, now: float) -> None:
        """See Subscriber."""
        stream = self._wanted
        if stream is None:
            return
        self._leave()
        self._await(None)
        self._offsets.switch(packet, self._step_to(packet, stream, now))
        self._offsets.advance(packet)
        self._last_sent_at = self._switched_at = now
        self._resent.clear()
        self._source = stream
        stream.subscribers.ungrouped[self] = None

    def _step_to(self, packet: MediaPacket, stream: InboundStream, now: float) -> int:
        """By how much its timestamp is after the last one: by the publisher's own clocks, where that goes on in another
        stream, else by the times of arrival."""
        rate = CLOCK_RATES[self.kind]
        elapsed = 0 if self._last_sent_at is None else int((now - self._last_sent_at) * rate)
        if self._left is not None and stream.clock is not None and self._left[0] == stream.publication.publisher:
            captured = stream.publication.clock.to_worker(stream.clock).ntp_at(packet.timestamp, rate)
            step = timestamp_difference(self._offsets.last_timestamp, self._left[1].timestamp_at(captured, rate))
            if abs(step - elapsed) <= MAX_SHIFT_S * rate:
                elapsed = step
        return max(elapsed, 1)

    def join_group(self) -> bool:
        """See Subscriber."""
        source = self._source
        if source is None or not self._offsets.is_plain:
            return False
        if self._stamps is not None and source.format not in self._repair_types:
            return False
        del source.subscribers.ungrouped[self]
        self._group = group = source.subscribers.group(self.packet_format)
        self._packets -= group.packets
        self._bytes -= group.bytes
        group.add_subscriber(self, self._numbers(*self._offsets.newest, self.ssrc))
        return True

    def _part(self) -> None:
        """Be looked at packet by packet from now on."""
        if self._group is None or self._source is None:
            return
        self._catch_up()
        self._packets, self._bytes = self.packets, self.bytes
        group, self._group = self._group, None
        self._source.subscribers.leave(self, group)
        self._source.subscribers.ungrouped[self] = None

    def _leave(self) -> None:
        """Take no more from the source."""
        self._part()
        source = self._source
        if source is not None:
            clock = self._clock(source)
            self._left = None if clock is None else (source.publication.publisher, clock)
            del source.subscribers.ungrouped[self]
            self._source = None

    def _clock(self, source: InboundStream) -> RtpClock | None:
        """Of the slot's own timestamps in the worker's time; None while the source's publisher has not reported."""
        if source.clock is None:
            return None
        ntp, timestamp = source.publication.clock.to_worker(source.clock)
        return RtpClock(ntp, (timestamp + self._offsets.timestamp) & 0xFFFFFFFF)

    def _catch_up(self) -> None:
        """Let the numbers follow what the group has sent."""
        if self._group is None or self._source is None:
            return
        subscribers = self._source.subscribers
        if subscribers.newest is not None:
            self._offsets.advance(subscribers.newest)
            self._last_sent_at = subscribers.newest_at

    def _numbers(self, sequence: int, picture_id: int, ssrc: int) -> Numbers:
        offsets = self._offsets
        return Numbers(sequence, offsets.timestamp, ssrc, picture_id, offsets.tl0, self.path.history)

    def write(self, packet: MediaPacket, buffer: WriteBuffer, now: float) -> int:
        """See Subscriber."""
        packet, payload_type = self.packet_format.choose_codec(packet)
        offsets = self._offsets
        index = packet.extended
        is_empty, is_last = index in offsets.empty, index in offsets.last
        template = self.packet_format.render(packet, payload_type, now, is_empty=is_empty, is_last=is_last)
        fill((template,), self._numbers(*offsets.at(packet.extended), self.ssrc), (buffer,))
        if self._stamps is not None:
            self._stamps[offsets.sequence_number(packet) % _KEPT_STAMPS] = int.from_bytes(buffer.view[_STAMP], "big")
        size = template.size
        self._packets += 1
        self._bytes += size
        return size

    def write_repair(self, packet: MediaPacket, buffer: WriteBuffer, now: float) -> int:
        """Write a packet for the second time; gives its size in bytes."""
        sequence, picture_id = self._offsets.at(packet.extended)
        number = (packet.sequence_number + sequence) & 0xFFFF
        repair_type = self._repair_types.get(packet.codec)
        is_empty, is_last = packet.extended in self._offsets.empty, packet.extended in self._offsets.last
        if repair_type is None:
            packet, payload_type = self.packet_format.choose_codec(packet)
            template = self.packet_format.render(packet, payload_type, now, is_empty=is_empty, is_last=is_last)
            template.sent = None
            fill((template,), self._numbers(sequence, picture_id, self.ssrc), (buffer,))
            if self._stamps is not None:
                buffer.view[_STAMP] = self._stamps[number % _KEPT_STAMPS].to_bytes(4, "big")
        else:
            own, self._next_repair = self._next_repair, (self._next_repair + 1) & 0xFFFF
            prefix = _ORIGINAL.pack(number)
            template = self.packet_format.render(
                packet, repair_type, now, prefix=prefix, is_empty=is_empty, is_last=is_last
            )
            numbers = self._numbers(own - packet.sequence_number, picture_id, self.repair_ssrc)
            fill((template,), numbers, (buffer,))
        size = template.size
        self.path.repair_bytes += size
        return size

    def find_lost(self, sequence_number: int, now: float) -> MediaPacket | None:
        """The packet behind a sequence number of this slot, to be sent again; None when that must not or cannot be."""
        if self._source is None or (self.redundancy is not None and self.redundancy.was_on):
            # What went out as RED must not go out under the same number as Opus: a key stream would be used twice.
            return None
        self._catch_up()
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
        self._catch_up()
        return self._offsets.find_last(self._source.ring) if self._source is not None else None

    def handle_report(self, block: ReportBlock) -> tuple[int, int]:
        """Take in the receiver's report on this slot; gives how many packets it speaks of anew, and how many are lost.

        (0, 0) for the first one, and for one that makes no sense.
        """
        self._catch_up()
        before, self._reported = self._reported, block.highest_sequence
        unsent, self._unsent = self._unsent, self._offsets.numbers - self.packets
        numbers = 0 if before is None else (block.highest_sequence - before) & 0xFFFFFFFF
        expected = max(numbers - max(self._unsent - unsent, 0), 0)
        packets_lost = block.packets_lost - self._unsent
        lost = min(max(packets_lost - self.downlink.packets_lost, 0), expected)
        self.downlink.jitter_s = block.jitter / CLOCK_RATES[self.kind]
        self.downlink.packets_lost = packets_lost
        return (expected, lost) if numbers < 1 << 15 else (0, 0)

    def sender_report(self, ntp: int, now: float) -> SenderReport | None:
        """The SR for this slot, by its publisher's clocks: `ntp` is the NTP time at `now`.

        None before the first packet, and until its publisher has reported: times of arrival would tie what it sends by
        how long each was on its way. Of one that does not report they are all that there is.
        """
        self._catch_up()
        if self._last_sent_at is None:
            return None
        rate = CLOCK_RATES[self.kind]
        clock = self._clock(self._source) if self._source is not None else self._left[1] if self._left else None
        if clock is not None:
            timestamp = clock.timestamp_at(ntp, rate)
        elif now - self._switched_at < FIRST_REPORT_S:
            return None
        else:
            timestamp = (self._offsets.last_timestamp + int((now - self._last_sent_at) * rate)) & 0xFFFFFFFF
        return SenderReport(self.ssrc, ntp, timestamp, self.packets, self.bytes - HEADER_SIZE * self.packets)
