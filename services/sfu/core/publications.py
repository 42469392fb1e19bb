"""What a participant sends: a publication for each of its own m-lines, of one stream or several simulcast layers."""

from typing import Final, Literal

from services.sfu.core.copies import Taker, Takers
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import Kind, ParticipantKey
from services.sfu.core.layers import Layer, Option, list_options, order_rids
from services.sfu.core.media_line import (
    LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    SEND_TIME_URI,
    TRANSPORT_CC_URI,
    Codec,
    MediaLine,
)
from services.sfu.core.nack import GapTracker, RetransmissionRing
from services.sfu.core.rtp import MediaPacket, RtpHeader, canonical_audio, canonical_video, find_extension
from services.sfu.core.speakers import SpeechLevel
from services.sfu.core.stats import RateMeter, ReceptionStats

CLOCK_RATES: dict[Kind, int] = {"audio": 48000, "video": 90000}
# Packets kept for retransmission: about 0.5 s of a 2 Mbit/s layer, and 2.5 s of audio.
RING_SIZES: dict[Kind, int] = {"audio": 128, "video": 512}

# Between two key-frame requests to a publisher: one makes key frames on all its layers.
# Higher: new receivers wait longer for a picture. Lower: key frames eat the uplink.
KEY_FRAME_INTERVAL_S: Final = 0.3

# A publication is live when media came this lately. Higher: a slot is held for who stopped. Lower: flapping.
LIVE_S: Final = 2.0

# What pictures there are is looked at this often. Higher: later. Lower: work for each receiver.
OPTIONS_LIFE_S: Final = 0.1

VideoSource = Literal["camera", "screen"]

# The rid of a stream that has none.
NO_RID: Final = ""


class InboundStream:
    """One SSRC of a publisher."""

    def __init__(self, publication: "Publication", ssrc: int, rid: str, codec: Codec) -> None:
        self.publication = publication
        self.ssrc = ssrc
        self.rid = rid
        self.codec: Codec = codec
        self.stats = ReceptionStats(CLOCK_RATES[publication.kind])
        self.gaps = GapTracker()
        self.ring = RetransmissionRing(RING_SIZES[publication.kind])
        self.takers = Takers()
        self.rates = [RateMeter()]
        self._temporal_bytes = [0]
        self.height = 0
        self.bytes = self.repaired = 0
        self.last_packet_at: float | None = None

    def receive(self, datagram: bytes, header: RtpHeader, now: float) -> tuple[MediaPacket | None, bool]:
        """Count and keep a packet. Gives its canonical form, None for one that came before; False when a gap before it
        cannot be repaired."""
        index = self.stats.count(header.sequence_number, header.timestamp, now)
        repairable = not self.publication.repairs or self.gaps.add(index, now)
        return self._keep(datagram, header, index, now), repairable

    def receive_repair(self, datagram: bytes, header: RtpHeader, now: float) -> MediaPacket | None:
        """Keep a packet that came as a repair; None when it had come before, as a publisher's probes have.

        It stays lost in the reports: its publisher judges the path by them.
        """
        index = self.stats.extend(header.sequence_number)
        packet = self._keep(datagram, header, index, now) if index <= self.stats.highest else None
        if packet is not None:
            self.repaired += 1
            self.gaps.add(index, now)
        return packet

    def _keep(self, datagram: bytes, header: RtpHeader, index: int, now: float) -> MediaPacket | None:
        publication = self.publication
        is_audio = publication.kind == "audio"
        if is_audio:
            codec = publication.codecs[header.payload_type]
            packet = canonical_audio(datagram, header, index, publication.level_id, codec)
        else:
            packet = canonical_video(datagram, header, index, self.codec)
        # Twice the same number must never be two different packets to a receiver, or its key stream is used twice.
        if not self.ring.put(packet):
            return None
        self.last_packet_at = now
        size = len(datagram)
        self.bytes += size
        if is_audio:
            if packet.level is not None:
                publication.level.add(packet.level, now)
        else:
            frame = packet.frame
            if frame.height:
                self.height = frame.height
            if frame.temporal >= len(self.rates):
                self.rates += [RateMeter() for _ in range(frame.temporal + 1 - len(self.rates))]
                self._temporal_bytes += [0] * (len(self.rates) - len(self._temporal_bytes))
            self._temporal_bytes[frame.temporal] += size
        return packet

    def rate_bps(self, now: float) -> float:
        """What the stream takes, all temporal layers together."""
        totals = [self.bytes] if self.publication.kind == "audio" else self._temporal_bytes
        for meter, total in zip(self.rates, totals, strict=True):
            meter.add_total(total, now)
        return sum(meter.rate_bps for meter in self.rates)

    def layer(self, now: float) -> Layer:
        """What the allocation needs to know."""
        self.rate_bps(now)
        return Layer(self.last_packet_at, tuple(meter.rate_bps for meter in self.rates), self.height)


class Publication:
    """One own m-line of a participant. `muted` is what the publisher says of itself; `slots` is where it goes to."""

    def __init__(self, line: MediaLine, publisher: ParticipantKey, is_screen: bool = False) -> None:
        self.publisher = publisher
        self.is_screen = is_screen
        self.slots: list[Taker] = []
        self.kind: Kind = line.media_kind
        self.mid = line.mid
        self.codecs = {codec.payload_type: codec.codec for codec in line.answered_codecs}
        self.level_id = line.extensions.get(LEVEL_URI)
        self.transport_cc_id = line.extensions[TRANSPORT_CC_URI] if line.has_transport_cc else None
        self.send_time_id = None if line.has_transport_cc else line.extensions.get(SEND_TIME_URI)
        self.repairs = "nack" in line.feedback
        self.takes_pli, self.takes_fir = "nack pli" in line.feedback, "ccm fir" in line.feedback
        self.takes_remb = "goog-remb" in line.feedback and not line.has_transport_cc
        self.muted = False
        # The publisher's uplink over the last interval (ITU-T G.107); 0 while it is not known.
        self.uplink_mos = 0.0
        self.level = SpeechLevel()
        self.ordered_rids = order_rids(line.rids) or (NO_RID,)
        self.layers: dict[str, InboundStream] = {}
        # The payload types of media by those of their repairs.
        self.repair_types = {
            codec.rtx_payload_type: codec.payload_type
            for codec in line.answered_codecs
            if codec.rtx_payload_type is not None
        }
        self._offered_ssrcs = line.ssrcs
        self._offered_repairs = line.rtx_ssrcs
        self._mid_id = line.extensions.get(MID_URI)
        self._rid_id = line.extensions.get(RID_URI)
        self._repaired_rid_id = line.extensions.get(REPAIRED_RID_URI)
        self._options: dict[int, tuple[list[InboundStream], list[Option]]] = {}
        self._options_at = -1.0
        self._wants_key_frame: InboundStream | None = None
        self._key_frame_asked_at: float | None = None
        self.key_frames_asked = 0

    @property
    def codec(self) -> Codec:
        """The first of those that the answer took."""
        return next(iter(self.codecs.values()))

    @property
    def source(self) -> VideoSource | None:
        """What a video shows; None for audio."""
        if self.kind == "audio":
            return None
        return "screen" if self.is_screen else "camera"

    def is_live(self, now: float) -> bool:
        """Whether media of it came lately."""
        return any(
            stream.last_packet_at is not None and now - stream.last_packet_at < LIVE_S
            for stream in self.layers.values()
        )

    def identify(self, datagram: bytes, header: RtpHeader, is_only_one: bool) -> str | None:
        """The rid of a packet of a new SSRC, or None when it is not of this publication.

        By the MID extension; without it by the SSRCs of the offer; without those by the payload type, if `is_only_one`
        of the publications has it. A simulcast packet without a RID is of none.
        """
        if header.payload_type not in self.codecs:
            return None
        if not self._is_mine(datagram, header, is_only_one or header.ssrc in self._offered_ssrcs):
            return None
        if self.ordered_rids == (NO_RID,):
            return NO_RID
        return self._rid(datagram, header, self._rid_id)

    def identify_repair(self, datagram: bytes, header: RtpHeader) -> InboundStream | None:
        """The stream that a repair packet of a new SSRC repairs, or None when it is not of this publication.

        By the SSRC group of the offer (FID), else by the repaired RID (RFC 8852), else by the MID.
        """
        if header.payload_type not in self.repair_types:
            return None
        repaired_ssrc = self._offered_repairs.get(header.ssrc)
        if repaired_ssrc is not None:
            return next((stream for stream in self.layers.values() if stream.ssrc == repaired_ssrc), None)
        if not self._is_mine(datagram, header, False):
            return None
        rid = NO_RID if self.ordered_rids == (NO_RID,) else self._rid(datagram, header, self._repaired_rid_id)
        return self.layers.get(rid) if rid is not None else None

    def _is_mine(self, datagram: bytes, header: RtpHeader, without_mid: bool) -> bool:
        mid = find_extension(datagram, header, self._mid_id)
        return without_mid if mid is None else mid == self.mid.encode()

    def _rid(self, datagram: bytes, header: RtpHeader, extension_id: int | None) -> str | None:
        rid = (find_extension(datagram, header, extension_id) or b"").decode("ascii", "replace")
        return rid if rid in self.ordered_rids else None

    def open_stream(self, ssrc: int, rid: str, payload_type: int) -> InboundStream:
        """A new stream in place of the layer's former one, if there was one."""
        stream = InboundStream(self, ssrc, rid, self.codecs[payload_type])
        self.layers[rid] = stream
        self._options.clear()
        return stream

    def streams_upwards(self) -> list[InboundStream]:
        """The layers that have come so far, from the lowest."""
        return [self.layers[rid] for rid in self.ordered_rids if rid in self.layers]

    def options(self, max_height: int, now: float) -> tuple[list[InboundStream], list[Option]]:
        """The layers from the lowest, and the pictures to have of them (layers.py); the same for all receivers, so that
        it is looked at once for many."""
        if now - self._options_at >= OPTIONS_LIFE_S:
            self._options.clear()
            self._options_at = now
        found = self._options.get(max_height)
        if found is None:
            streams = self.streams_upwards()
            found = streams, list_options([stream.layer(now) for stream in streams], max_height, now)
            self._options[max_height] = found
        return found

    def want_key_frame(self, stream: InboundStream) -> None:
        """Remember that a receiver needs a key frame of this stream."""
        if self.takes_pli or self.takes_fir:
            self._wants_key_frame = stream

    def take_key_frame_request(self, now: float) -> InboundStream | None:
        """The stream to ask for a key frame now, or None; the interval between requests is kept."""
        stream = self._wants_key_frame
        if stream is None:
            return None
        if self._key_frame_asked_at is not None and now - self._key_frame_asked_at < KEY_FRAME_INTERVAL_S:
            return None
        self._wants_key_frame = None
        self._key_frame_asked_at = now
        self.key_frames_asked += 1
        return stream


def find_stream_home(publications: list[Publication], datagram: bytes, header: RtpHeader) -> tuple[Publication, str]:
    """The publication and rid that a packet of a new SSRC belongs to; PacketError("unknown_ssrc") when none."""
    for publication in publications:
        alike = [other for other in publications if header.payload_type in other.codecs]
        rid = publication.identify(datagram, header, is_only_one=len(alike) == 1)
        if rid is not None:
            return publication, rid
    raise PacketError("unknown_ssrc")
