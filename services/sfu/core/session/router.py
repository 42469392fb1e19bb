"""What comes from the participants of one worker, where each packet goes, and what is due."""

from typing import Final

from services.sfu.core.congestion.stats import ntp_from_unix
from services.sfu.core.errors import PacketError
from services.sfu.core.forwarding.publications import InboundStream
from services.sfu.core.ids import LegNumber, ParticipantNumber
from services.sfu.core.selection.speakers import RANK_INTERVAL_S
from services.sfu.core.selection.video_requests import VideoRequests
from services.sfu.core.session import feedback
from services.sfu.core.session.effects import Effect, SendMedia, SendSlotMap
from services.sfu.core.session.layer_updates import LayerUpdates
from services.sfu.core.session.lifecycle import TAKING_PART, Input, State
from services.sfu.core.session.membership import Membership
from services.sfu.core.session.participants import Participant, RandomBytes
from services.sfu.core.session.registry import Registry
from services.sfu.core.session.relays import Relays
from services.sfu.core.session.remote_participants import RemoteParticipants
from services.sfu.core.session.slot_updates import SlotUpdates
from services.sfu.core.wire import relay_frames
from services.sfu.core.wire.codec_formats import DEFAULT_CODEC_ORDER
from services.sfu.core.wire.rtcp import Bye, TransportFeedback, parse_compound
from services.sfu.core.wire.rtp import MediaPacket, parse_header, rebuild_repaired

# Looked up once: it is asked for with each packet.
_FLOWING: Final = State.FLOWING


class Router:
    """All media state of a worker. Not one method blocks or raises on a client's bytes, but for PacketError.

    `unix_offset_s` is what turns `now` (monotonic seconds) into Unix time, for the NTP times of sender reports.
    `codec_order`: the codecs of video that are wanted, the best first. `members`: who is there, and how one joins.
    """

    def __init__(
        self, random: RandomBytes, unix_offset_s: float, codec_order: tuple[str, ...] = DEFAULT_CODEC_ORDER
    ) -> None:
        self._codec_order = codec_order
        self._unix_offset_s = unix_offset_s
        self._registry = Registry()
        self._layers = LayerUpdates(self._registry)
        self._slots = SlotUpdates(self._registry, self._layers)
        self._relays = Relays(self._registry, self._layers)
        self._remotes = RemoteParticipants(self._registry)
        self.members = Membership(self._registry, self._slots, self._layers, self._relays, random, codec_order)
        self._with_gaps: set[InboundStream] = set()
        self._uplinks_due: set[Participant] = set()
        self._ranks_due = 0.0

    def handle_transport_up(self, participant: Participant, now: float) -> list[Effect]:
        """DTLS is up."""
        participant.heard_at = now
        return self.members.handle(participant, Input.TRANSPORT_UP, now)

    def handle_transport_closed(self, participant: Participant, now: float) -> list[Effect]:
        """The client closed DTLS, or its handshake failed."""
        return self.members.handle(participant, Input.TRANSPORT_CLOSED, now)

    def handle_consent(self, participant: Participant, now: float) -> list[Effect]:
        """An authenticated STUN check of the participant came."""
        participant.heard_at = now
        return self.members.handle(participant, Input.CONSENT, now)

    def handle_mute(
        self, participant: Participant, audio: bool, video: bool, now: float, screen: bool | None = None
    ) -> list[Effect]:
        """What the client says of its microphone, camera and screen; its receivers are told when that is new.

        `audio`, `video`: whether they are off. `screen`: whether it is shared; None when the client says nothing of it.
        """
        remapped: dict[ParticipantNumber, None] = {}
        for publication in participant.publications:
            was_muted = publication.muted
            if publication.is_screen:
                publication.declared_on = screen
            else:
                publication.declared_on = not (audio if publication.kind == "audio" else video)
            if publication.kind == "audio" and not publication.is_screen:
                publication.level.is_muted = audio
            if publication.muted != was_muted:
                remapped |= {slot.receiver: None for slot in publication.slots}
        call = self._registry.calls.get(participant.key.call_id)
        if call is None or participant.state not in TAKING_PART:
            return []
        self._relays.note_change(participant)
        assigned = call.assign_slots(now)
        remapped |= {effect.receiver: None for effect in assigned if isinstance(effect, SendSlotMap)}
        effects: list[Effect] = [SendSlotMap(receiver) for receiver in remapped]
        return effects + self._layers.select_for_remapped(assigned, now)

    def handle_video_requests(self, participant: Participant, requested: VideoRequests, now: float) -> list[Effect]:
        """What the client asks to see."""
        participant.video_requests = requested
        call = self._registry.calls.get(participant.key.call_id)
        if call is None or participant.state not in TAKING_PART:
            return []
        return [*call.assign_slots(now, participant), *self._layers.select([participant], now)]

    def handle_rtp(self, participant: Participant, datagram: bytes, now: float) -> list[Effect]:
        """Route one decrypted RTP packet. Raises PacketError with the reason for a drop."""
        header = parse_header(datagram)
        payload_type = header.payload_type
        if payload_type in participant.uplink.watched_types:
            participant.uplink.add_packet(datagram, header, now)
            self._uplinks_due.add(participant)
        if payload_type in participant.repair_types:
            repairing, repaired = participant.find_repair(datagram, header)
            packet = None if repaired is None else repairing.receive_repair(datagram, repaired, now)
            forwarded = self._forward(participant, repairing, packet, now)
            if packet is not None and repaired is not None and repairing.relay is not None:
                original = rebuild_repaired(datagram, repaired)
                return forwarded + self._relays.forward(repairing.relay, packet, original)
            return forwarded
        stream = participant.streams.get(header.ssrc)
        if stream is None or payload_type not in stream.payload_types:
            stream = participant.find_stream(datagram, header, now)
        effects: list[Effect] = []
        if stream.last_packet_at is None and header.payload_end > header.payload_at:
            effects = self._handle_new(stream, now)
        packet, repairable = stream.receive(datagram, header, now)
        if not repairable:
            if packet is None and stream.has_restarted(header):
                stream = participant.restart(stream, header)
                effects += self._handle_new(stream, now)
                packet, _ = stream.receive(datagram, header, now)
            stream.publication.want_key_frame(stream)
        elif stream.gaps.missing:
            self._with_gaps.add(stream)
        forwarded = self._forward(participant, stream, packet, now)
        if stream.relay is not None and packet is not None:
            forwarded = forwarded + self._relays.forward(stream.relay, packet, datagram)
        return effects + forwarded if effects else forwarded

    def _forward(
        self, participant: Participant, stream: InboundStream, packet: MediaPacket | None, now: float
    ) -> list[Effect]:
        effects = self._note_media(participant, now)
        if packet is None:
            return effects
        forwarded: list[Effect] = [SendMedia(to, packet) for to in stream.subscribers.route(packet, now)]
        return effects + forwarded if effects else forwarded

    def _handle_new(self, stream: InboundStream, now: float) -> list[Effect]:
        """A stream began, or goes on after its end: what was off, or in another codec, gets its slots now, and whoever
        has these may want its layer."""
        publication = stream.publication
        was_on = publication.is_on(now)
        stream.last_packet_at = now
        effects: list[Effect] = []
        participant = self._registry.find(publication.publisher)
        if participant is None:
            return effects
        self._relays.note_change(participant)
        if not self._slots.may_follow(participant, now):
            return effects
        if len(publication.layers) == 1 or (publication.kind == "video" and not was_on):
            effects = self._slots.assign(participant, now)
        return effects + self._layers.select(
            [self._registry.participants[slot.receiver] for slot in publication.slots], now
        )

    def handle_rtcp(self, participant: Participant, datagram: bytes, now: float) -> list[Effect]:
        """Take in one decrypted RTCP packet. Raises PacketError with the reason for a drop."""
        reports = parse_compound(datagram)
        effects = self._note_media(participant, now)
        ntp = self._ntp(now)
        has_ended = False
        for report in reports:
            effects += feedback.handle_report(participant, report, now, ntp)
            has_ended = has_ended or isinstance(report, Bye)
        if self._relays.legs:
            effects += self._relays.forward_reports(participant, reports)
            if has_ended:
                self._relays.note_change(participant)
        if has_ended and self._slots.may_follow(participant, now):
            effects += self._slots.assign(participant, now)
        effects += self._layers.select_after_drop(participant, now)
        if any(not isinstance(report, TransportFeedback) for report in reports):
            for slot in participant.slots:
                if slot.publication is not None:
                    effects += self._layers.request_key_frame(slot.publication, now)
        return effects

    def handle_frame(self, number: LegNumber, frame: bytes, now: float) -> list[Effect]:
        """Take in what came over a leg. Raises PacketError with the reason for a drop."""
        kind, publisher = relay_frames.read_head(frame)
        leg = self._relays.legs.get(number)
        if leg is None:
            raise PacketError("relay_unknown")
        if kind in (relay_frames.FEEDBACK, relay_frames.WANTS):
            participant = self._registry.participants.get(ParticipantNumber(publisher))
            if participant is None or participant.home is not None or participant.key.call_id != leg.call_id:
                raise PacketError("relay_publisher")
            if kind == relay_frames.WANTS:
                return self._relays.handle_wants(leg, participant, frame, now)
            return self._relays.handle_feedback(leg, participant, relay_frames.read_control(frame), now)
        remote = leg.remotes.get(ParticipantNumber(publisher))
        if remote is None or remote.home is None:
            raise PacketError("relay_publisher")
        if kind == relay_frames.MEDIA:
            epoch, datagram = relay_frames.read_media(frame)
            self._remotes.begin(remote, remote.home, epoch, datagram, now)
            return self.handle_rtp(remote, datagram, now)
        if kind == relay_frames.REPORT:
            return self.handle_rtcp(remote, relay_frames.read_control(frame), now)
        if kind == relay_frames.STATE:
            effects = self._remotes.handle_state(remote, remote.home, frame, now)
            if effects is None:
                return []
            # What others' publishers change costs here what it costs at their homes, and no more.
            return effects + self._slots.reassign(remote, now) if self._slots.may_follow(remote, now) else effects
        raise PacketError("relay_malformed")

    def tick(self, now: float) -> list[Effect]:
        """What is due at `now`: NACKs, feedback and probes at each call, the rest at its own interval."""
        effects = self._tick_streams(now)
        effects += self._tick_uplinks(now)
        effects += self._layers.tick_probes(now)
        effects += self._slots.tick(now)
        effects += self._layers.tick(now)
        effects += self._relays.tick(now)
        silent, asked = self._remotes.tick(now)
        for remote in silent:
            effects += self._slots.reassign(remote, now)
        effects += asked
        if now >= self._ranks_due:
            self._ranks_due = now + RANK_INTERVAL_S
            effects += self.members.end_idle_relays(now)
            for call in self._registry.calls.values():
                ranked = call.rank(now)
                effects += ranked + self._layers.select_for_remapped(ranked, now)
                effects += call.codecs.tick(call.members.values(), self._codec_order, now)
        return effects + self._tick_reports(now)

    def _tick_streams(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for stream in list(self._with_gaps):
            publisher = self._registry.find(stream.publication.publisher)
            if not stream.gaps.missing or publisher is None or publisher.streams.get(stream.ssrc) is not stream:
                self._with_gaps.discard(stream)
                continue
            effects += feedback.build_nacks(publisher, stream, now)
        return effects

    def _tick_uplinks(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for participant in list(self._uplinks_due):
            if participant.state is State.GONE:
                self._uplinks_due.discard(participant)
                continue
            participant.uplink.update_estimate(participant.round_trip_s or 0.1, now)
            due = feedback.build_transport_feedback(participant, now)
            if due or not participant.uplink.has_transport_cc:
                self._uplinks_due.discard(participant)
            effects += due
        return effects

    def _tick_reports(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        ntp = self._ntp(now)
        for participant in self.members.take_due(now):
            timed_out = self.members.handle_timeout(participant, now)
            if timed_out is not None:
                effects += timed_out
            elif participant.state is not State.WAITING:
                effects += feedback.build_reports(participant, now, ntp)
        return effects

    def _note_media(self, participant: Participant, now: float) -> list[Effect]:
        participant.heard_at = now
        return [] if participant.state is _FLOWING else self.members.handle(participant, Input.MEDIA, now)

    def _ntp(self, now: float) -> int:
        return ntp_from_unix(now + self._unix_offset_s)
