"""One participant: what it sends, where it receives, and what its reports say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.sfu.core.errors import PacketError
from services.sfu.core.ids import ParticipantKey, ParticipantNumber
from services.sfu.core.lifecycle import State
from services.sfu.core.publications import InboundStream, Publication, find_stream_home
from services.sfu.core.rtp import RtpHeader
from services.sfu.core.sdp import Offer
from services.sfu.core.slots import ReceiveSlot

# SSRCs that a participant may bring; three simulcast layers and audio are four. Higher: memory for who invents SSRCs.
MAX_STREAMS = 12

# Random bytes; injected, so that tests can repeat a run.
RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class SlotEntry:
    """A line of the slot map. `publisher` is None while nobody is on the slot."""

    mid: str
    publisher: ParticipantKey | None
    muted: bool


class Participant:
    """A device's media in a call."""

    def __init__(
        self, number: ParticipantNumber, key: ParticipantKey, offer: Offer, random: RandomBytes, now: float
    ) -> None:
        self.number = number
        self.key = key
        self.joined_at = now
        self.heard_at = now
        self.state = State.WAITING
        self.round_trip_s: float | None = None
        self.estimate_bps: float | None = None
        self.publications = [Publication(line, key) for line in offer.media if line.is_own]
        self.streams: dict[int, InboundStream] = {}
        ssrcs = _distinct_ssrcs(random, taken={ssrc for line in offer.media for ssrc in line.ssrcs})
        # The SFU's own sender in feedback to this participant.
        self.feedback_ssrc = next(ssrcs)
        self.slots = [
            ReceiveSlot(number, line, next(ssrcs), _sequence_number(random), int.from_bytes(random(4), "big"))
            for line in offer.media
            if line.is_slot
        ]
        self.slots_by_ssrc = {slot.ssrc: slot for slot in self.slots}

    def find_stream(self, datagram: bytes, header: RtpHeader) -> InboundStream:
        """The stream of a packet, opened at its first; PacketError when the packet is of none."""
        stream = self.streams.get(header.ssrc)
        if stream is None:
            stream = self._open_stream(datagram, header)
        elif header.payload_type != stream.publication.payload_type:
            raise PacketError("unknown_payload_type")
        return stream

    def _open_stream(self, datagram: bytes, header: RtpHeader) -> InboundStream:
        publication, rid = find_stream_home(self.publications, datagram, header)
        if len(self.streams) >= MAX_STREAMS:
            # A client that starts anew takes new SSRCs; the one that was silent longest is not coming back.
            oldest = min(self.streams.values(), key=lambda stream: stream.last_packet_at or 0.0)
            del self.streams[oldest.ssrc]
        stream = publication.open_stream(header.ssrc, rid)
        self.streams[header.ssrc] = stream
        return stream

    def slot_map(self) -> list[SlotEntry]:
        """Who is on which slot, in the order of the offer."""
        return [
            SlotEntry(slot.mid, slot.publication.publisher, slot.publication.muted)
            if slot.publication is not None
            else SlotEntry(slot.mid, None, False)
            for slot in self.slots
        ]


def _distinct_ssrcs(random: RandomBytes, taken: set[int]) -> Iterator[int]:
    while True:
        ssrc = int.from_bytes(random(4), "big")
        if ssrc and ssrc not in taken:
            taken.add(ssrc)
            yield ssrc


def _sequence_number(random: RandomBytes) -> int:
    # Below 2^15, so that a packet from before the first is not taken for one of an earlier roll-over (RFC 3711, 3.3.1).
    return int.from_bytes(random(2), "big") & 0x7FFF
