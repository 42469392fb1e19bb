"""What a participant sends: a publication for each of its own m-lines, of one stream or several simulcast layers."""

from collections.abc import Set
from typing import Final, Literal

from services.sfu.core.congestion.stats import MAX_JUMP, RESTARTED, RateMeter, ReceptionStats
from services.sfu.core.forwarding.layer_demand import LayerDemand
from services.sfu.core.forwarding.nack import GapTracker, RetransmissionRing
from services.sfu.core.forwarding.rids import order_rids
from services.sfu.core.forwarding.sender_clock import PublisherClock, RtpClock
from services.sfu.core.forwarding.speech_level import SpeechLevel
from services.sfu.core.forwarding.stream_relay import StreamRelay
from services.sfu.core.forwarding.subscribers import Subscriber, Subscribers
from services.sfu.core.forwarding.target_rates import TargetRates
from services.sfu.core.ids import Kind, ParticipantKey
from services.sfu.core.wire.codec_formats import Codec, Format
from services.sfu.core.wire.dependency_descriptor import DescriptorReader
from services.sfu.core.wire.media_line import (
    DESCRIPTOR_URI,
    LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    SEND_TIME_URI,
    TRANSPORT_CC_URI,
    CodecLine,
    MediaLine,
)
from services.sfu.core.wire.rtp import MediaPacket, RtpHeader, canonical_audio, canonical_video, find_extension

CLOCK_RATES: dict[Kind, int] = {"audio": 48000, "video": 90000}
# Packets kept for retransmission: about 0.5 s of a 2 Mbit/s layer, and 2.5 s of audio.
RING_SIZES: dict[Kind, int] = {"audio": 128, "video": 512}

# Between two key-frame requests to a publisher: one makes key frames on all its layers. Raising it lets new receivers
# wait longer for a picture; lowering it fills the uplink with key frames.
KEY_FRAME_INTERVAL_S: Final = 0.3

# When a publisher does not say whether a video is on, it is on if media came this lately. Raising it holds a slot for a
# video that has stopped; lowering it takes a picture that stands still for none.
LIVE_S: Final = 3.5
# And for this long while its sender reports go on, which some stacks send for as long as they live. Raising and
# lowering it do the same as above.
STILL_S: Final = 30.0
# A camera counts as on for this long before anything comes. Raising it holds slots for cameras that never come;
# lowering it makes a late one take a slot again.
START_S: Final = 5.0
# When two SSRCs send one layer, the former takes it back after the newer was silent for this long. Raising it leaves a
# still picture for longer; lowering it makes two that send at once take turns.
SUPERSEDED_S: Final = 0.5
# Packets of an SSRC that are searched for a MID or RID before a guess stands. Raising it costs work for each; lowering
# it misses names that come late.
MAX_LOOKUPS: Final = 100

VideoSource = Literal["camera", "screen"]

# The rid of a stream that has none.
NO_RID: Final = ""


class InboundStream:
    """One SSRC of a publisher.

    `payload_types` are those that need no second look: none while the m-line and layer of the SSRC are a guess
    (ssrc_association.py). `last_packet_at` is None before it begins, and after it ended.
    """

    def __init__(self, publication: "Publication", ssrc: int, rid: str, line: CodecLine) -> None:
        self.publication = publication
        self.ssrc = ssrc
        self.rid = rid
        self.payload_types: frozenset[int] = frozenset()
        self._lookups_left = MAX_LOOKUPS
        self.codec: Codec = line.codec
        self.format: Format = line.format
        self.stats = ReceptionStats(CLOCK_RATES[publication.kind])
        self.gaps = GapTracker()
        self.ring = RetransmissionRing(RING_SIZES[publication.kind])
        self.subscribers = Subscribers()
        # Where it goes to besides: other workers of the call. None while none wants it.
        self.relay: StreamRelay | None = None
        self.rates = [RateMeter()]
        self._temporal_bytes = [0]
        # By temporal layer, from when all of it came last; what it will take again after a pause.
        self.known_bps: tuple[float, ...] = ()
        # VP8 says what there is to know in its payload.
        has_descriptor = publication.descriptor_id is not None and self.codec != "vp8"
        self._descriptors = DescriptorReader() if has_descriptor else None
        self.targets: TargetRates | None = None
        self.height = 0
        self.bytes = self.repaired = 0
        self.last_packet_at: float | None = None
        # Of the last sender report, in the publisher's own time.
        self.clock: RtpClock | None = None

    def receive(self, datagram: bytes, header: RtpHeader, now: float) -> tuple[MediaPacket | None, bool]:
        """Count and keep a packet. Gives its canonical form, None for one that came before; False when a gap before it
        cannot be repaired, or when it is none of this stream because its sender began anew (`has_restarted`)."""
        index = self.stats.count(header.sequence_number, header.timestamp, now)
        if index == RESTARTED:
            return None, False
        repairable = not self.publication.repairs or self.gaps.add_packet(index, now)
        packet = self._keep(datagram, header, index, now)
        if packet is not None and header.payload_end > header.payload_at:
            self.last_packet_at = now
        return packet, repairable

    def has_restarted(self, header: RtpHeader) -> bool:
        """Whether a packet that was not received has numbers of a new beginning."""
        return self.stats.extend(header.sequence_number) < self.stats.highest - MAX_JUMP

    def takes(self, payload_type: int) -> bool:
        """Whether it can have packets of this type; a video that goes over to another codec is another stream."""
        return self.publication.kind == "audio" or self.publication.codecs.get(payload_type) == self.format

    def confirm_association(self, is_sure: bool) -> None:
        """The m-line and layer of the SSRC are known; a guess stands when packets told no more after a while."""
        self._lookups_left -= 1
        if is_sure or not self._lookups_left:
            self.payload_types = frozenset(filter(self.takes, self.publication.codecs))

    def reset_association(self) -> None:
        """Look again at the m-line and layer of the SSRC when it comes the next time."""
        self.payload_types = frozenset()
        self._lookups_left = MAX_LOOKUPS

    def end(self) -> None:
        """The publisher says that it sends no more. What was learnt of the SSRC stays: it may be taken up again."""
        self.last_packet_at = None
        self.reset_association()

    def receive_repair(self, datagram: bytes, header: RtpHeader, now: float) -> MediaPacket | None:
        """Keep a packet that came as a repair; None when it had come before, as a publisher's probes have.

        It stays lost in the reports: its publisher judges the path by them.
        """
        index = self.stats.extend(header.sequence_number)
        packet = self._keep(datagram, header, index, now) if index <= self.stats.highest else None
        if packet is not None:
            self.repaired += 1
            self.gaps.add_packet(index, now)
        return packet

    def _keep(self, datagram: bytes, header: RtpHeader, index: int, now: float) -> MediaPacket | None:
        publication = self.publication
        is_audio = publication.kind == "audio"
        if is_audio:
            name = publication.codecs[header.payload_type]
            packet = canonical_audio(datagram, header, index, publication.level_id, name, publication.opus_types)
        else:
            packet = canonical_video(datagram, header, index, self.codec, self.format)
            if self._descriptors is not None:
                self._describe(packet, datagram, header)
        # Twice the same number must never be two different packets to a receiver, or its key stream is used twice.
        if not self.ring.put(packet):
            return None
        size = len(datagram)
        self.bytes += size
        if is_audio:
            if packet.level is not None:
                publication.level.add_level(packet.level, now)
            else:
                publication.level.add_size(len((packet.plain or packet).info.payload), now)
        else:
            info = packet.info
            if info.height:
                self.height = info.height
            if info.temporal >= len(self.rates):
                self.rates += [RateMeter() for _ in range(info.temporal + 1 - len(self.rates))]
                self._temporal_bytes += [0] * (len(self.rates) - len(self._temporal_bytes))
            self._temporal_bytes[info.temporal] += size
            if info.frame is not None:
                if self.targets is None:
                    self.targets = TargetRates(info.frame)
                self.targets.add_frame(info.frame, size, now)
        return packet

    def _describe(self, packet: MediaPacket, datagram: bytes, header: RtpHeader) -> None:
        """Take what the packet's descriptor says, in place of what may be read of its payload."""
        assert self._descriptors is not None
        value = find_extension(datagram, header, self.publication.descriptor_id)
        frame = None if value is None else self._descriptors.read(value)
        if frame is None:
            return
        info = packet.info
        info.frame = frame
        info.temporal = frame.temporal
        info.is_key_frame = frame.begins_sequence
        if frame.begins_sequence and frame.structure.heights:
            info.height = frame.structure.heights[frame.structure.find_top(frame.active).spatial]

    def height_of(self, spatial: int) -> int:
        """In pixels, up to a spatial layer; 0 when that is not known."""
        if self.targets is None:
            return self.height
        # Where the descriptor does not say, each layer is half as high as the next, as encoders of browsers have it.
        return self.targets.height_of(spatial) or self.height >> max(self.targets.top.spatial - spatial, 0)

    def rate_bps(self, now: float) -> float:
        """What the stream takes, all temporal layers together."""
        totals = [self.bytes] if self.publication.kind == "audio" else self._temporal_bytes
        for meter, total in zip(self.rates, totals, strict=True):
            meter.add_total(total, now)
        return sum(meter.rate_bps for meter in self.rates)


class Publication:
    """One own m-line of a participant; `slots` is where it goes to.

    `declared_on` is what the publisher says of itself (MediaState), None while it says nothing. `is_reported_off`: by
    the last slot maps the video shows nothing. `format` is what it sends now, before it begins the first of those that
    the answer took.
    """

    def __init__(self, line: MediaLine, publisher: ParticipantKey, is_screen: bool = False, now: float = 0.0) -> None:
        self.publisher = publisher
        self.is_screen = is_screen
        self.slots: list[Subscriber] = []
        self.kind: Kind = line.media_kind
        self.mid = line.mid
        self._lines = {codec.payload_type: codec for codec in line.answered_codecs}
        self.codecs: dict[int, Format] = {number: codec.format for number, codec in self._lines.items()}
        self.format: Format = next(iter(self.codecs.values()))
        # What it is to send; it goes on with the first for as long as it does not follow (call_codecs.py).
        self.wanted = self.format
        self.opus_types = frozenset(number for number, name in self.codecs.items() if name == "opus")
        self.level_id = line.extensions.get(LEVEL_URI)
        self.descriptor_id = line.extensions.get(DESCRIPTOR_URI)
        self.transport_cc_id = line.extensions[TRANSPORT_CC_URI] if line.has_transport_cc else None
        self.send_time_id = None if line.has_transport_cc else line.extensions.get(SEND_TIME_URI)
        self.repairs = "nack" in line.feedback
        self.takes_pli, self.takes_fir = "nack pli" in line.feedback, "ccm fir" in line.feedback
        self.takes_remb = "goog-remb" in line.feedback and not line.has_transport_cc
        self.declared_on: bool | None = None
        self.is_reported_off = False
        # Of a publisher that is on another worker: whether it is on, as that says. None for a publisher of this one.
        self.relayed_on: bool | None = None
        self._opened_at = now
        # The last sender report: that it has not ended, though nothing comes.
        self.reported_at = -1e9
        # The publisher's uplink over the last interval (ITU-T G.107); 0 while it is not known.
        self.uplink_mos = 0.0
        self.level = SpeechLevel()
        # From the lowest layer, as far as that is known.
        self.ordered_rids = order_rids(line.rids) or (NO_RID,)
        self.listed_rids = line.rids or (NO_RID,)
        self.layers: dict[str, InboundStream] = {}
        # Shared by all publications of the participant.
        self.clock = PublisherClock()
        self.demand = LayerDemand()
        # The payload types of media by those of their repairs.
        self.repair_types = {
            codec.rtx_payload_type: codec.payload_type
            for codec in line.answered_codecs
            if codec.rtx_payload_type is not None
        }
        self.offered_ssrcs = line.ssrcs
        self.offered_repairs = line.rtx_ssrcs
        self.mid_id = line.extensions.get(MID_URI)
        self.rid_id = line.extensions.get(RID_URI)
        self.repaired_rid_id = line.extensions.get(REPAIRED_RID_URI)
        # Counts each change of which streams there are.
        self.stream_changes = 0
        self._wants_key_frame: InboundStream | None = None
        self._key_frame_asked_at: float | None = None
        self.key_frames_asked = 0

    @property
    def source(self) -> VideoSource | None:
        """What it shows; None for a microphone. A screen's sound is of the screen."""
        if self.is_screen:
            return "screen"
        return None if self.kind == "audio" else "camera"

    @property
    def muted(self) -> bool:
        """Whether nothing is to be heard or seen of it, as its publisher says or as it looks."""
        return self.declared_on is False or self.is_reported_off

    @property
    def last_media_at(self) -> float | None:
        """When media of it came last; None before the first, and when all of it has ended."""
        times = [stream.last_packet_at for stream in self.layers.values() if stream.last_packet_at is not None]
        return max(times) if times else None

    def is_on(self, now: float) -> bool:
        """Whether it is being published now.

        What the publisher says counts, and that its streams have ended. Where it says nothing, media must have come
        lately, or for a while its reports: a picture that stands still needs none.
        """
        if self.declared_on is False:
            return False
        if self.relayed_on is not None:
            return self.relayed_on
        if self.kind == "audio":
            # Sound does not stand still, and that a screen is shared says nothing of its sound.
            return self.last_media_at is not None and now - self.last_media_at < LIVE_S
        if self.layers and self.demand.paused and all(self.demand.may_come(rid, now) for rid in self.layers):
            # Nothing comes because nobody takes it.
            return True
        last_at = self.last_media_at
        if last_at is None:
            # A screen is on from its first packet; a camera is waited for.
            is_awaited = not self.layers and (self.declared_on is True or now - self._opened_at < START_S)
            return is_awaited and not self.is_screen
        if self.declared_on or now - last_at < LIVE_S:
            return True
        return now - self.reported_at < LIVE_S and now - last_at < STILL_S

    def open_stream(self, ssrc: int, rid: str, payload_type: int) -> InboundStream:
        """A new stream in place of the layer's former one, if there was one."""
        stream = InboundStream(self, ssrc, rid, self._lines[payload_type])
        self._put(rid, stream)
        return stream

    def take_back(self, stream: InboundStream, rid: str, is_sure: bool, now: float) -> None:
        """A known stream comes that is looked at again: it has its layer, unless another one came in its place."""
        if is_sure and rid != stream.rid:
            self._rename(stream, rid)
        current = self.layers.get(stream.rid)
        if current is not stream:
            if current is not None and now - (current.last_packet_at or -1e9) < SUPERSEDED_S:
                return
            self._put(stream.rid, stream)
            # As one that begins: its receivers are to turn to it.
            stream.last_packet_at = None
        stream.confirm_association(is_sure)

    def _rename(self, stream: InboundStream, rid: str) -> None:
        """Its rid had been guessed; the stream that had this one by a guess gets the other."""
        former, other = stream.rid, self.layers.get(rid)
        if self.layers.get(former) is stream:
            del self.layers[former]
            if other is not None:
                other.rid = former
                self.layers[former] = other
        stream.rid = rid
        self.layers[rid] = stream
        self.stream_changes += 1

    def _put(self, rid: str, stream: InboundStream) -> None:
        former = self.layers.get(rid)
        if former is not None:
            former.reset_association()
        self.layers[rid] = stream
        if self.kind == "video":
            self.format = stream.format
        self.stream_changes += 1

    def forget(self, stream: InboundStream) -> None:
        """The SSRC is another's now."""
        if self.layers.get(stream.rid) is stream:
            del self.layers[stream.rid]
            self.stream_changes += 1

    def streams_upwards(self) -> list[InboundStream]:
        """The layers that have come so far, from the lowest; of a video those in the codec that it is sent in now."""
        streams = [self.layers[rid] for rid in self.ordered_rids if rid in self.layers]
        return streams if self.kind == "audio" else [stream for stream in streams if stream.format == self.format]

    def update_demand(self, flowing: Set[str], now: float) -> bool:
        """Follow what receivers take of its layers, of which `flowing` come now; whether the publisher is to be told.

        A screen is never paused: it takes little, and while its picture stands still there is no frame to begin with.
        One of another worker is: it goes on there, and only does not come here.
        """
        if self.kind == "audio" or (self.is_screen and self.relayed_on is None):
            return False
        taken = {rid for rid, stream in self.layers.items() if stream.subscribers.are_there or stream.relay is not None}
        # What is left of another codec is taken by nobody, though it may come again.
        left = {rid for rid, stream in self.layers.items() if stream.format != self.format}
        return self.demand.update(taken, flowing | left, now)

    @property
    def wanted_type(self) -> int:
        """The publisher's payload type of the format that it is to send."""
        return next(number for number, name in self.codecs.items() if name == self.wanted)

    def want_key_frame(self, stream: InboundStream) -> None:
        """Remember that a receiver needs a key frame of this stream."""
        self._wants_key_frame = stream

    def was_asked_lately(self, now: float) -> bool:
        """Whether a key frame was asked for so lately that it may not be asked for again."""
        return self._key_frame_asked_at is not None and now - self._key_frame_asked_at < KEY_FRAME_INTERVAL_S

    def take_key_frame_request(self, now: float) -> InboundStream | None:
        """The stream to ask for a key frame now, or None; the interval between requests is kept."""
        stream = self._wants_key_frame
        if stream is None:
            return None
        if self.was_asked_lately(now):
            return None
        self._wants_key_frame = None
        self._key_frame_asked_at = now
        self.key_frames_asked += 1
        return stream
