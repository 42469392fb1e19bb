"""One participant: what it sends, where it receives, and what its reports say."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.sfu.core.congestion.downlink import DownlinkPath
from services.sfu.core.congestion.pacing import Pacer
from services.sfu.core.congestion.uplink import UplinkPath
from services.sfu.core.errors import PacketError
from services.sfu.core.forwarding.publications import InboundStream, Publication, VideoSource
from services.sfu.core.forwarding.slots import Numbering, ReceiveSlot
from services.sfu.core.forwarding.ssrc_association import Association, find_association, find_repaired
from services.sfu.core.ids import LegNumber, ParticipantKey, ParticipantNumber
from services.sfu.core.selection.video_requests import VideoRequests
from services.sfu.core.session.agreement import list_decodable_formats
from services.sfu.core.session.budgets import (
    MAX_CHANGES_PER_S,
    MAX_CHECKS_PER_S,
    MAX_CONTROL_PER_S,
    MAX_DTLS_PER_S,
    MAX_MEDIA_PER_S,
    MAX_NACKED_PER_S,
    Budget,
)
from services.sfu.core.session.lifecycle import State
from services.sfu.core.wire.answer import name_streams
from services.sfu.core.wire.codec_formats import Format
from services.sfu.core.wire.rtp import RtpHeader, unwrap_repair
from services.sfu.core.wire.sdp import Offer

# SSRCs that a participant may have at a time; three simulcast layers and audio are four. Raising it costs memory for
# invented SSRCs; lowering it drops streams of clients with many.
MAX_STREAMS = 12
# SSRCs over a participant's life: libsrtp keeps something for each. Raising it costs memory; lowering it cuts off a
# client that starts anew often.
MAX_SSRCS = 100

# Random bytes; injected, so that tests can repeat a run.
RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class SlotEntry:
    """A line of the slot map. `publisher` is None while nobody is on the slot."""

    mid: str
    publisher: ParticipantKey | None
    muted: bool
    source: VideoSource | None = None


class LayerState(NamedTuple):
    """Whether anybody takes a layer of an own video; `rid` is empty where the video has no layers."""

    mid: str
    rid: str
    is_wanted: bool


class CodecState(NamedTuple):
    """The codec that an own video is wanted in, by the client's own payload type."""

    mid: str
    payload_type: int


class UnseenVideo(NamedTuple):
    """A video that is on, and that one participant cannot decode: `key` is its publisher, or, for the publisher, the
    participant that cannot."""

    key: ParticipantKey
    source: VideoSource
    format: Format


class ReceiveQuality(NamedTuple):
    """What a client's players said last: shares of the time, 0 to 1."""

    frozen_ratio: float = 0.0
    concealed_ratio: float = 0.0


class Home:
    """Where a remote participant has its transport: at the other end of a leg, by its number there.

    `version`, `heard_at`: of what was said last of it. `is_live` while something has been said lately. `epochs`: of
    each SSRC, how often it began on the leg.
    """

    def __init__(self, leg: LegNumber, number: ParticipantNumber) -> None:
        self.leg = leg
        self.number = number
        self.version = -1
        self.heard_at = 0.0
        self.is_live = False
        self.epochs: dict[int, int] = {}


class Participant:
    """A device's media in a call. With a `home` it is a remote one: another worker has its transport, and forwards what
    is wanted of it; here it only publishes."""

    def __init__(
        self,
        number: ParticipantNumber,
        key: ParticipantKey,
        offer: Offer,
        random: RandomBytes,
        now: float,
        home: Home | None = None,
    ) -> None:
        self.number = number
        self.key = key
        self.joined_at = now
        self.heard_at = now
        self.state = State.WAITING
        self.offer = offer
        self.home = home
        self.publications = _publications(offer, key, now)
        # Of each SSRC that came; at most MAX_SSRCS.
        self._learnt: dict[int, Association] = {}
        self.streams: dict[int, InboundStream] = {}
        self.repairs: dict[int, InboundStream] = {}
        self.repair_types = frozenset(number for p in self.publications for number in p.repair_types)
        self.uplink = _uplink(self.publications if home is None else ())
        # Those on which the client only receives come first: some play nothing of the lines that they send on.
        received = [line for line in offer.media if line.client_receives and home is None]
        slots = sorted(received, key=lambda line: line.client_sends)
        self.path = DownlinkPath(any(line.has_transport_cc for line in slots))
        ssrcs = _distinct_ssrcs(random, {ssrc for line in offer.media for ssrc in (*line.ssrcs, *line.rtx_ssrcs)})
        # The SFU's own sender in feedback to this participant.
        self.feedback_ssrc = next(ssrcs)
        self.slots = [ReceiveSlot(number, line, _numbering(ssrcs, random), self.path) for line in slots]
        self.path.streams = self.slots
        self.partners = _partners(offer, self.slots)
        self.slots_by_ssrc = {slot.ssrc: slot for slot in self.slots}
        self.decodable = list_decodable_formats(offer)
        # Others' videos that this client cannot decode, and who cannot decode its own.
        self.unseen: tuple[UnseenVideo, ...] = ()
        self.unseen_by: tuple[UnseenVideo, ...] = ()
        self.video_requests = VideoRequests()
        self.nacked = Budget(MAX_NACKED_PER_S)
        self.repair_pacer = Pacer()
        self.media = Budget(MAX_MEDIA_PER_S)
        self.control = Budget(MAX_CONTROL_PER_S)
        self.checks = Budget(MAX_CHECKS_PER_S)
        self.handshake = Budget(MAX_DTLS_PER_S)
        self.changes = Budget(MAX_CHANGES_PER_S)
        self._ssrcs_seen = 0
        self.receive_quality = ReceiveQuality()
        if home is not None:
            for publication in self.publications:
                # The leg repairs all that it loses, whatever the client offered.
                publication.repairs, publication.relayed_on = True, False

    @property
    def round_trip_s(self) -> float | None:
        """Between the worker and the client, as receiver reports prove it."""
        return self.path.round_trip_s

    @property
    def microphones(self) -> list[Publication]:
        """What it has to be heard: of several own audio lines those that brought something, else the first.

        Some clients offer lines as sendrecv that they only receive on.
        """
        audio = [p for p in self.publications if p.kind == "audio" and not p.is_screen]
        return audio if len(audio) < 2 else [p for p in audio if p.layers] or audio[:1]

    @property
    def screen_sounds(self) -> list[Publication]:
        """What its screen has to be heard; at most one."""
        return [p for p in self.publications if p.kind == "audio" and p.is_screen]

    def find_stream(self, datagram: bytes, header: RtpHeader, now: float) -> InboundStream:
        """The stream of a packet, opened at its first; PacketError when the packet is of none.

        What was learnt of an SSRC outlives its silence and its end, until a packet says that it is another's now.
        """
        stream = self.streams.get(header.ssrc)
        association = find_association(self.publications, self._learnt, datagram, header)
        if association is None:
            raise PacketError("unknown_ssrc" if stream is None else "unknown_payload_type")
        if stream is None or association.publication is not stream.publication or not stream.takes(header.payload_type):
            return self._open_stream(header.ssrc, header.payload_type, association)
        self._learnt[header.ssrc] = association
        association.publication.take_back(stream, association.rid, association.is_sure, now)
        return stream

    def restart(self, stream: InboundStream, header: RtpHeader) -> InboundStream:
        """A new stream in place of one whose numbers began anew: receivers go over to it at its key frame."""
        stream.publication.forget(stream)
        return self._open_stream(header.ssrc, header.payload_type, self._learnt[header.ssrc])

    def name_stream(self, ssrc: int, mid: str, rid: str, payload_type: int) -> InboundStream | None:
        """The stream that an SSRC is, as another worker knows it; opened when it is new. None when it does not fit
        the offer."""
        publication = next((each for each in self.publications if each.mid == mid), None)
        if publication is None or payload_type not in publication.codecs or rid not in publication.ordered_rids:
            return None
        stream = self.streams.get(ssrc)
        if stream is not None and publication.layers.get(rid) is stream and stream.takes(payload_type):
            return stream
        return self._open_stream(ssrc, payload_type, Association(publication, rid))

    def find_repair(self, datagram: bytes, header: RtpHeader) -> tuple[InboundStream, RtpHeader | None]:
        """The stream that a repair packet (one of `repair_types`) is for, and the header of what it brings again, None
        for mere padding. PacketError when it is of no stream that is there."""
        stream = self.repairs.get(header.ssrc)
        if stream is None or self.streams.get(stream.ssrc) is not stream:
            is_known = stream is not None
            found = find_repaired(self.publications, datagram, header)
            if found is None and stream is not None:
                # Its layer goes on under another SSRC, or began anew: it repairs that one now.
                found = stream.publication.layers.get(stream.rid)
            if found is None:
                raise PacketError("unknown_ssrc")
            if not is_known:
                self._count_ssrc()
            while len(self.repairs) >= MAX_STREAMS:
                del self.repairs[next(iter(self.repairs))]
            stream = self.repairs[header.ssrc] = found
        repaired = stream.publication.repair_types.get(header.payload_type)
        if repaired is None or not stream.takes(repaired):
            raise PacketError("unknown_payload_type")
        return stream, unwrap_repair(datagram, header, repaired, stream.ssrc)

    def _open_stream(self, ssrc: int, payload_type: int, association: Association) -> InboundStream:
        former = self.streams.pop(ssrc, None)
        if former is not None:
            former.publication.forget(former)
        if ssrc not in self._learnt:
            self._count_ssrc()
        self._learnt[ssrc] = association
        if len(self.streams) >= MAX_STREAMS:
            # A client that starts anew takes new SSRCs; the one that was silent longest is not coming back.
            oldest = min(self.streams.values(), key=lambda stream: stream.last_packet_at or 0.0)
            del self.streams[oldest.ssrc]
        stream = association.publication.open_stream(ssrc, association.rid, payload_type)
        stream.confirm_association(association.is_sure)
        self.streams[ssrc] = stream
        return stream

    def _count_ssrc(self) -> None:
        if self._ssrcs_seen >= MAX_SSRCS:
            raise PacketError("ssrc_flood")
        self._ssrcs_seen += 1

    def slot_map(self) -> list[SlotEntry]:
        """Who is on which slot, in the order in which these are filled."""
        return [_entry(slot) for slot in self.slots]

    def layer_states(self) -> list[LayerState]:
        """Of all layers that may be paused."""
        return [
            LayerState(publication.mid, rid, rid not in publication.demand.paused)
            for publication in self.publications
            if publication.source == "camera"
            for rid in publication.listed_rids
        ]

    def codec_states(self) -> list[CodecState]:
        """Of all its videos."""
        return [
            CodecState(publication.mid, publication.wanted_type)
            for publication in self.publications
            if publication.kind == "video"
        ]


def _entry(slot: ReceiveSlot) -> SlotEntry:
    publication = slot.publication
    if publication is None:
        return SlotEntry(slot.mid, None, False)
    return SlotEntry(slot.mid, publication.publisher, publication.muted, publication.source)


def _publications(offer: Offer, key: ParticipantKey, now: float) -> list[Publication]:
    """One for each own m-line; the second and later ones of video are screens, and the second of audio that only sends
    is a screen's sound (docs/design/sfu.md)."""
    found: list[Publication] = []
    for line in offer.media:
        if line.client_sends:
            others = [publication for publication in found if publication.kind == line.media_kind]
            is_screen = bool(others) and (line.kind == "video" or not line.client_receives)
            publication = Publication(line, key, is_screen, now)
            if found:
                publication.clock = found[0].clock
            found.append(publication)
    return found


def _partners(offer: Offer, slots: Sequence[ReceiveSlot]) -> dict[ReceiveSlot, ReceiveSlot]:
    """The slot that shares its stream with another one, of the other kind."""
    names = name_streams(offer.media)
    return {
        slot: other for slot in slots for other in slots if slot is not other and names[slot.mid] == names[other.mid]
    }


def _uplink(publications: Sequence[Publication]) -> UplinkPath:
    """The path of a publisher: its packets are numbered for all m-lines, send times count for video only."""
    ids = [p.transport_cc_id for p in publications if p.transport_cc_id is not None]
    videos = [p for p in publications if p.kind == "video"]
    times = [p.send_time_id for p in videos if p.send_time_id is not None]
    media_types = frozenset(number for p in videos for number in (*p.codecs, *p.repair_types))
    return UplinkPath(ids[0] if ids else None, times[0] if times else None, media_types)


def _distinct_ssrcs(random: RandomBytes, taken: set[int]) -> Iterator[int]:
    while True:
        ssrc = int.from_bytes(random(4), "big")
        if ssrc and ssrc not in taken:
            taken.add(ssrc)
            yield ssrc


def _numbering(ssrcs: Iterator[int], random: RandomBytes) -> Numbering:
    media, repair = next(ssrcs), next(ssrcs)
    timestamp = int.from_bytes(random(4), "big")
    return Numbering(media, _sequence_number(random), repair, _sequence_number(random), timestamp)


def _sequence_number(random: RandomBytes) -> int:
    # Below 2^15, so that a packet from before the first is not taken for one of an earlier roll-over (RFC 3711, 3.3.1).
    return int.from_bytes(random(2), "big") & 0x7FFF
