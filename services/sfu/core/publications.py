"""What a participant sends: a publication for each of its own m-lines, of one stream or several simulcast layers."""

from typing import TYPE_CHECKING

from services.sfu.core.errors import PacketError
from services.sfu.core.ids import Kind, ParticipantKey
from services.sfu.core.layers import order_rids
from services.sfu.core.nack import GapTracker, RetransmissionRing
from services.sfu.core.rtp import MediaPacket, RtpHeader, canonical_audio, canonical_vp8, find_extension
from services.sfu.core.sdp import LEVEL_URI, MID_URI, RID_URI, MediaLine
from services.sfu.core.stats import RateMeter, ReceptionStats

if TYPE_CHECKING:
    from services.sfu.core.slots import ReceiveSlot

CLOCK_RATES: dict[Kind, int] = {"audio": 48000, "video": 90000}
# Packets kept for retransmission: about 0.5 s of a 2 Mbit/s layer, and 2.5 s of audio.
RING_SIZES: dict[Kind, int] = {"audio": 128, "video": 512}

# Between two key-frame requests to a publisher: one makes key frames on all its layers.
# Higher: new receivers wait longer for a picture. Lower: key frames eat the uplink.
KEY_FRAME_INTERVAL_S = 0.3

# The rid of a stream that has none.
NO_RID = ""


class InboundStream:
    """One SSRC of a publisher."""

    def __init__(self, publication: "Publication", ssrc: int, rid: str) -> None:
        self.publication = publication
        self.ssrc = ssrc
        self.rid = rid
        self.stats = ReceptionStats(CLOCK_RATES[publication.kind])
        self.gaps = GapTracker()
        self.ring = RetransmissionRing(RING_SIZES[publication.kind])
        self.rate = RateMeter()
        self.bytes = 0
        self.last_packet_at: float | None = None

    def receive(self, datagram: bytes, header: RtpHeader, now: float) -> tuple[MediaPacket, bool]:
        """Count and keep a packet; gives its canonical form, and False when a gap before it cannot be repaired."""
        publication = self.publication
        index = self.stats.extend(header.sequence_number)
        self.stats.add(index, header.timestamp, now)
        self.last_packet_at = now
        self.bytes += len(datagram)
        if publication.kind == "video":
            packet = canonical_vp8(datagram, header, index)
        else:
            packet = canonical_audio(datagram, header, index, publication.level_id)
        self.ring.put(packet)
        self.rate.add(len(datagram), now)
        repairable = not publication.repairs or self.gaps.add(index, now)
        return packet, repairable


class Publication:
    """One own m-line of a participant. `muted` is what the publisher says of itself; `slots` is where it goes to."""

    def __init__(self, line: MediaLine, publisher: ParticipantKey) -> None:
        self.publisher = publisher
        self.slots: list[ReceiveSlot] = []
        self.kind: Kind = line.media_kind
        self.mid = line.mid
        self.payload_type = line.payload_type
        self.level_id = line.extensions.get(LEVEL_URI)
        self.repairs = "nack" in line.feedback
        self.takes_pli = "nack pli" in line.feedback
        self.takes_remb = "goog-remb" in line.feedback
        self.muted = False
        self.ordered_rids = order_rids(line.rids) or (NO_RID,)
        self.layers: dict[str, InboundStream] = {}
        self._offered_ssrcs = line.ssrcs
        self._mid_id = line.extensions.get(MID_URI)
        self._rid_id = line.extensions.get(RID_URI)
        self._wants_key_frame: InboundStream | None = None
        self._key_frame_asked_at: float | None = None

    def identify(self, datagram: bytes, header: RtpHeader, is_only_one: bool) -> str | None:
        """The rid of a packet of a new SSRC, or None when it is not of this publication.

        By the MID extension; without it by the SSRCs of the offer; without those by the payload type, if `is_only_one`
        of the publications has it. A simulcast packet without a RID is of none.
        """
        if header.payload_type != self.payload_type:
            return None
        mid = find_extension(datagram, header, self._mid_id)
        if mid is not None:
            if mid != self.mid.encode():
                return None
        elif header.ssrc not in self._offered_ssrcs and not is_only_one:
            return None
        if self.ordered_rids == (NO_RID,):
            return NO_RID
        rid = (find_extension(datagram, header, self._rid_id) or b"").decode("ascii", "replace")
        return rid if rid in self.ordered_rids else None

    def open_stream(self, ssrc: int, rid: str) -> InboundStream:
        """A new stream in place of the layer's former one, if there was one."""
        stream = InboundStream(self, ssrc, rid)
        self.layers[rid] = stream
        return stream

    def streams_upwards(self) -> list[InboundStream]:
        """The layers that have come so far, from the lowest."""
        return [self.layers[rid] for rid in self.ordered_rids if rid in self.layers]

    def want_key_frame(self, stream: InboundStream) -> None:
        """Remember that a receiver needs a key frame of this stream."""
        if self.takes_pli:
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
        return stream


def find_stream_home(publications: list[Publication], datagram: bytes, header: RtpHeader) -> tuple[Publication, str]:
    """The publication and rid that a packet of a new SSRC belongs to; PacketError("unknown_ssrc") when none."""
    for publication in publications:
        alike = [other for other in publications if other.payload_type == header.payload_type]
        rid = publication.identify(datagram, header, is_only_one=len(alike) == 1)
        if rid is not None:
            return publication, rid
    raise PacketError("unknown_ssrc")
