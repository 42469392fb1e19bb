"""The calls of one worker: joins and leaves, where each packet goes, and what is due."""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final

from services.sfu.core.congestion.stats import ntp_from_unix
from services.sfu.core.errors import PacketError
from services.sfu.core.forwarding.publications import InboundStream
from services.sfu.core.ids import CallId, LegNumber, ParticipantKey, ParticipantNumber
from services.sfu.core.selection.speakers import RANK_INTERVAL_S
from services.sfu.core.selection.video_requests import VideoRequests
from services.sfu.core.session import feedback
from services.sfu.core.session.agreement import agree
from services.sfu.core.session.effects import (
    AnnounceConnected,
    AnnounceSilence,
    Disconnect,
    Effect,
    LeaveReason,
    SendMedia,
    SendSlotMap,
)
from services.sfu.core.session.layer_updates import LayerUpdates
from services.sfu.core.session.lifecycle import TAKING_PART, Action, Input, State, step, timeout_of
from services.sfu.core.session.participants import Home, Participant, RandomBytes
from services.sfu.core.session.registry import Registry
from services.sfu.core.session.relays import Relays, RemoteDevice
from services.sfu.core.session.remote_participants import RemoteParticipants
from services.sfu.core.wire import relay_frames
from services.sfu.core.wire.codec_formats import DEFAULT_CODEC_ORDER
from services.sfu.core.wire.rtcp import Bye, TransportFeedback, parse_compound
from services.sfu.core.wire.rtp import MediaPacket, parse_header, rebuild_repaired
from services.sfu.core.wire.sdp import Offer

# Between two reports to a participant, and two looks at its timeouts. Raising it sees loss later; lowering it costs
# more RTCP.
REPORT_INTERVAL_S: Final = 1.0
# In larger calls a stream that begins or ends is followed at the next tick: to assign the slots takes the square of the
# members, a millisecond at 20. Raising it lets one packet hold up the others' for longer; lowering it brings pictures
# later.
SMALL_CALL: Final = 6
# Looked up once: it is asked for with each packet.
_FLOWING: Final = State.FLOWING


class Router:
    """All media state of a worker. Not one method blocks or raises on a client's bytes, but for PacketError.

    `unix_offset_s` is what turns `now` (monotonic seconds) into Unix time, for the NTP times of sender reports.
    `codec_order`: the codecs of video that are wanted, the best first.
    """

    def __init__(
        self, random: RandomBytes, unix_offset_s: float, codec_order: tuple[str, ...] = DEFAULT_CODEC_ORDER
    ) -> None:
        self._random = random
        self._codec_order = codec_order
        self._unix_offset_s = unix_offset_s
        self._registry = Registry()
        self._layers = LayerUpdates(self._registry)
        self._relays = Relays(self._registry, self._layers)
        self._remotes = RemoteParticipants(self._registry)
        self._with_gaps: set[InboundStream] = set()
        self._uplinks_due: set[Participant] = set()
        # Participants whose streams began or ended more often than is followed at once.
        self._changed: set[Participant] = set()
        self._reports_due: list[tuple[float, ParticipantNumber]] = []
        self._ranks_due = 0.0

    def __len__(self) -> int:
        return len(self._registry.participants) - len(self._registry.remotes)

    @property
    def participants(self) -> list[Participant]:
        """All participants of the worker, in the order of their joins, without the remote ones."""
        return self._registry.locals

    @property
    def call_count(self) -> int:
        """How many calls have a participant."""
        return self._registry.local_calls

    @property
    def relay_count(self) -> int:
        """What is held for calls that other workers carry too; 0 when there is none."""
        return len(self._registry.remotes) + len(self._relays)

    def get(self, number: ParticipantNumber) -> Participant | None:
        """A participant that has not left."""
        return self._registry.participants.get(number)

    def find(self, key: ParticipantKey) -> Participant | None:
        """The participant of this name, if it is in the call."""
        return self._registry.find(key)

    def join(self, key: ParticipantKey, offer: Offer, now: float) -> tuple[Participant, list[Effect]]:
        """Admit a device; one of the same key leaves as replaced. Its `offer` is the one to be answered."""
        former = self.find(key)
        effects: list[Effect] = []
        if former is not None:
            # A remote one has come here.
            is_local = former.home is None
            effects = self._step(former, Input.REPLACED, now) if is_local else self._drop_remote(former, now)
        call = self._registry.calls.get(key.call_id)
        members = call.members.values() if call is not None else ()
        agreed = agree(offer, [member.decodable for member in members if member.decodable], self._codec_order)
        participant = Participant(self._registry.next_number(), key, agreed, self._random, now)
        self._registry.add_participant(participant)
        heappush(self._reports_due, (now + REPORT_INTERVAL_S, participant.number))
        # While it connects the others go over to what it can decode.
        return participant, effects + self._update_codecs(participant, now)

    def remove(self, key: ParticipantKey, now: float) -> list[Effect]:
        """End a device's media; nothing if it is not there."""
        participant = self.find(key)
        if participant is None or participant.home is not None:
            return []
        return self._step(participant, Input.REMOVED, now)

    def end_call(self, call_id: CallId, now: float) -> list[Effect]:
        """End the media of everyone in a call."""
        effects = self._end_relays(call_id, self._relays.revision_of(call_id), now)
        return effects + [e for member in self._registry.locals_of(call_id) for e in self.remove(member.key, now)]

    def stop(self, now: float) -> list[Effect]:
        """End everyone's media, because the worker ends."""
        effects: list[Effect] = []
        for participant in self.participants:
            effects += self._step(participant, Input.WORKER_STOPPED, now)
        for call_id in self._relays.list_calls():
            effects += self._end_relays(call_id, self._relays.revision_of(call_id), now)
        return effects

    # Calls that other workers carry too.

    def list_joined(self, call_id: CallId) -> list[Participant]:
        """Who has joined a call here."""
        return self._registry.locals_of(call_id)

    @property
    def relayed_calls(self) -> list[CallId]:
        """Those that other workers carry too."""
        return self._relays.list_calls()

    def relay_revision(self, call_id: CallId) -> int:
        """The last revision of a call's relays that counted; -1 before the first."""
        return self._relays.revision_of(call_id)

    def set_relays(
        self, call_id: CallId, revision: int, legs: Sequence[LegNumber], devices: Sequence[RemoteDevice], now: float
    ) -> list[Effect]:
        """All legs and remote devices of a call from now on; nothing changes for a revision that is not newer.

        A device that is at home here is not remote as long as that is so.
        """
        if revision <= self._relays.revision_of(call_id):
            return []
        if not legs:
            return self._end_relays(call_id, revision, now)
        self._relays.set_call(call_id, revision, legs, devices, now)
        effects: list[Effect] = []
        for remote in self._remotes_of(call_id):
            device, home = self._relays.device_of(remote.key), remote.home
            if device is None or home is None or (device.leg, device.number) != (home.leg, home.number):
                effects += self._drop_remote(remote, now)
        for device in devices:
            effects += self._add_remote(device, now)
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
            return effects + self._reassign(remote, now) if self._may_change(remote, now) else effects
        raise PacketError("relay_malformed")

    def _remotes_of(self, call_id: CallId) -> list[Participant]:
        return [remote for remote in self._registry.remotes.values() if remote.key.call_id == call_id]

    def _reassign(self, remote: Participant, now: float) -> list[Effect]:
        """What a remote participant has to be seen and heard is another."""
        effects = self._assign_slots(remote, now)
        slots = (slot for publication in remote.publications for slot in publication.slots)
        receivers = dict.fromkeys(slot.receiver for slot in slots)
        return effects + self._layers.select([self._registry.participants[number] for number in receivers], now)

    def _add_remote(self, device: RemoteDevice, now: float) -> list[Effect]:
        leg = self._relays.legs.get(device.leg)
        if leg is None or self.find(device.key) is not None:
            return []
        call = self._registry.calls.get(device.key.call_id)
        members = call.members.values() if call is not None else ()
        agreed = agree(device.offer, [member.decodable for member in members if member.decodable], self._codec_order)
        home = Home(device.leg, device.number)
        participant = Participant(self._registry.next_number(), device.key, agreed, self._random, now, home)
        # Its transport and its timeouts are its home's.
        participant.state = State.FLOWING
        self._registry.add_participant(participant)
        leg.remotes[device.number] = participant
        return self._update_codecs(participant, now)

    def _drop_remote(self, remote: Participant, now: float) -> list[Effect]:
        home = remote.home
        leg = None if home is None else self._relays.legs.get(home.leg)
        if leg is not None and home is not None and leg.remotes.get(home.number) is remote:
            del leg.remotes[home.number]
        remote.state = State.GONE
        return self._take_out(remote, now)

    def _end_relays(self, call_id: CallId, revision: int, now: float) -> list[Effect]:
        effects = [effect for remote in self._remotes_of(call_id) for effect in self._drop_remote(remote, now)]
        self._relays.end_call(call_id, revision, now)
        return effects

    # What comes from a participant.

    def handle_transport_up(self, participant: Participant, now: float) -> list[Effect]:
        """DTLS is up."""
        participant.heard_at = now
        return self._step(participant, Input.TRANSPORT_UP, now)

    def handle_transport_closed(self, participant: Participant, now: float) -> list[Effect]:
        """The client closed DTLS, or its handshake failed."""
        return self._step(participant, Input.TRANSPORT_CLOSED, now)

    def handle_consent(self, participant: Participant, now: float) -> list[Effect]:
        """An authenticated STUN check of the participant came."""
        participant.heard_at = now
        return self._step(participant, Input.CONSENT, now)

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
        participant = self.find(publication.publisher)
        if participant is None:
            return effects
        self._relays.note_change(participant)
        if not self._may_change(participant, now):
            return effects
        if len(publication.layers) == 1 or (publication.kind == "video" and not was_on):
            effects = self._assign_slots(participant, now)
        return effects + self._layers.select(
            [self._registry.participants[slot.receiver] for slot in publication.slots], now
        )

    def _may_change(self, participant: Participant, now: float) -> bool:
        """Whether all slots follow now what a participant changed; else a later tick sees to it."""
        is_small = len(self._registry.call_of(participant).members) <= SMALL_CALL
        if is_small and participant.changes.spend(1, now):
            return True
        self._changed.add(participant)
        return False

    def _update_codecs(self, participant: Participant, now: float) -> list[Effect]:
        """Who is to send another codec, because this participant came or left."""
        call = self._registry.call_of(participant)
        return call.codecs.update(tuple(call.members.values()), self._codec_order, now)

    def _assign_slots(self, participant: Participant, now: float) -> list[Effect]:
        assigned = self._registry.call_of(participant).assign_slots(now)
        return assigned + self._layers.select_for_remapped(assigned, now)

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
        if has_ended and self._may_change(participant, now):
            effects += self._assign_slots(participant, now)
        effects += self._layers.select_after_drop(participant, now)
        if any(not isinstance(report, TransportFeedback) for report in reports):
            for slot in participant.slots:
                if slot.publication is not None:
                    effects += self._layers.request_key_frame(slot.publication, now)
        return effects

    def tick(self, now: float) -> list[Effect]:
        """What is due at `now`: NACKs, feedback and probes at each call, the rest at its own interval."""
        effects = self._tick_streams(now)
        effects += self._tick_uplinks(now)
        effects += self._layers.tick_probes(now)
        effects += self._tick_changes(now)
        effects += self._layers.tick(now)
        effects += self._relays.tick(now)
        silent, asked = self._remotes.tick(now)
        for remote in silent:
            effects += self._reassign(remote, now)
        effects += asked
        if now >= self._ranks_due:
            self._ranks_due = now + RANK_INTERVAL_S
            for call_id in self._relays.take_idle(now):
                effects += self._end_relays(call_id, -1, now)
            for call in self._registry.calls.values():
                ranked = call.rank(now)
                effects += ranked + self._layers.select_for_remapped(ranked, now)
                effects += call.codecs.tick(call.members.values(), self._codec_order, now)
        return effects + self._tick_reports(now)

    def _tick_streams(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for stream in list(self._with_gaps):
            publisher = self.find(stream.publication.publisher)
            if not stream.gaps.missing or publisher is None or publisher.streams.get(stream.ssrc) is not stream:
                self._with_gaps.discard(stream)
                continue
            effects += feedback.build_nacks(publisher, stream, now)
        return effects

    def _tick_changes(self, now: float) -> list[Effect]:
        """Each call once, however many of its participants changed something."""
        due = [participant for participant in self._changed if participant.changes.spend(1, now)]
        self._changed.difference_update(due)
        calls = {participant.key.call_id: participant for participant in due}
        effects = [effect for participant in calls.values() for effect in self._assign_slots(participant, now)]
        slots = (slot for participant in due for p in participant.publications for slot in p.slots)
        receivers = dict.fromkeys(slot.receiver for slot in slots)
        return effects + self._layers.select([self._registry.participants[number] for number in receivers], now)

    def _tick_uplinks(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for participant in list(self._uplinks_due):
            participant.uplink.update_estimate(participant.round_trip_s or 0.1, now)
            due = feedback.build_transport_feedback(participant, now)
            if due or not participant.uplink.has_transport_cc:
                self._uplinks_due.discard(participant)
            effects += due
        return effects

    def _tick_reports(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        ntp = self._ntp(now)
        while self._reports_due and self._reports_due[0][0] <= now:
            _, number = heappop(self._reports_due)
            participant = self._registry.participants.get(number)
            if participant is None:
                continue
            heappush(self._reports_due, (now + REPORT_INTERVAL_S, number))
            timeout = timeout_of(participant.state, participant.joined_at, participant.heard_at, now)
            if timeout is not None:
                effects += self._step(participant, timeout, now)
            elif participant.state is not State.WAITING:
                effects += feedback.build_reports(participant, now, ntp)
        return effects

    def _note_media(self, participant: Participant, now: float) -> list[Effect]:
        participant.heard_at = now
        return [] if participant.state is _FLOWING else self._step(participant, Input.MEDIA, now)

    def _ntp(self, now: float) -> int:
        return ntp_from_unix(now + self._unix_offset_s)

    def _step(self, participant: Participant, happened: Input, now: float) -> list[Effect]:
        actions, participant.state = step(participant.state, happened)
        effects: list[Effect] = []
        for action in actions:
            if action is Action.TAKE_SLOTS:
                effects += self._connect(participant, now)
            elif action is Action.ANNOUNCE:
                effects.append(AnnounceConnected(participant.key))
            elif action is Action.ANNOUNCE_SILENCE:
                effects.append(AnnounceSilence(participant.key, now - participant.heard_at))
            elif isinstance(action, LeaveReason):
                effects += self._leave(participant, action, now)
        return effects

    def _connect(self, participant: Participant, now: float) -> list[Effect]:
        """Put the participant on the others' slots and the others on its own."""
        effects = self._registry.call_of(participant).assign_slots(now)
        effects += self._layers.select_for_remapped(effects, now)
        remapped = {effect.receiver for effect in effects if isinstance(effect, SendSlotMap)}
        return effects if participant.number in remapped else [SendSlotMap(participant.number), *effects]

    def _leave(self, participant: Participant, reason: LeaveReason, now: float) -> list[Effect]:
        effects = self._relays.forget(participant, now) + self._take_out(participant, now)
        device = self._relays.device_of(participant.key)
        if device is not None and reason not in (LeaveReason.REPLACED, LeaveReason.WORKER_STOPPED):
            # It went to another worker before it left this one.
            effects += self._add_remote(device, now)
        return [*effects, Disconnect(participant.number, participant.key, reason)]

    def _take_out(self, participant: Participant, now: float) -> list[Effect]:
        call = self._registry.call_of(participant)
        effects = call.leave(participant, now)
        effects += self._update_codecs(participant, now)
        effects += self._layers.select_for_remapped(effects, now)
        self._registry.remove_participant(participant)
        self._with_gaps -= set(participant.streams.values())
        self._uplinks_due.discard(participant)
        self._layers.forget(participant)
        self._changed.discard(participant)
        return effects
