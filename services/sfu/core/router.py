"""The calls of one worker: who is in them, who is on whose slots, and where each packet goes."""

from services.sfu.core import feedback
from services.sfu.core.effects import (
    AnnounceConnected,
    Disconnect,
    Effect,
    LeaveReason,
    SendMedia,
    SendSlotMap,
)
from services.sfu.core.ids import CallId, Kind, ParticipantKey, ParticipantNumber
from services.sfu.core.layers import choose_layer
from services.sfu.core.lifecycle import Action, Input, State, step, timeout_of
from services.sfu.core.participants import Participant, RandomBytes
from services.sfu.core.publications import InboundStream, Publication
from services.sfu.core.rtcp import parse_compound
from services.sfu.core.rtp import parse_header
from services.sfu.core.sdp import Offer
from services.sfu.core.stats import ntp_from_unix

# Reports and expiry. Higher: slower to see loss. Lower: more RTCP.
REPORT_INTERVAL_S = 1.0
# Layers and missing key frames are looked at this often.
LAYER_INTERVAL_S = 0.25


class Router:
    """All media state of a worker. Not one method blocks or raises on a client's bytes, but for PacketError.

    `unix_offset_s` is what turns `now` (monotonic seconds) into Unix time, for the NTP times of sender reports.
    """

    def __init__(self, random: RandomBytes, unix_offset_s: float) -> None:
        self._random = random
        self._unix_offset_s = unix_offset_s
        self._calls: dict[CallId, dict[ParticipantKey, Participant]] = {}
        self._participants: dict[ParticipantNumber, Participant] = {}
        self._last_number = 0
        self._with_gaps: set[InboundStream] = set()
        self._reports_due = 0.0
        self._layers_due = 0.0

    def __len__(self) -> int:
        return len(self._participants)

    @property
    def participants(self) -> list[Participant]:
        """All participants of the worker, in the order of their joins."""
        return list(self._participants.values())

    @property
    def call_count(self) -> int:
        """How many calls have a participant."""
        return len(self._calls)

    def get(self, number: ParticipantNumber) -> Participant | None:
        """A participant that has not left."""
        return self._participants.get(number)

    def find(self, key: ParticipantKey) -> Participant | None:
        """The participant of this name, if it is in the call."""
        return self._calls.get(key.call_id, {}).get(key)

    def join(self, key: ParticipantKey, offer: Offer, now: float) -> tuple[Participant, list[Effect]]:
        """Admit a device; one of the same key leaves as replaced."""
        former = self.find(key)
        effects = [] if former is None else self._step(former, Input.REPLACED)
        self._last_number += 1
        participant = Participant(ParticipantNumber(self._last_number), key, offer, self._random, now)
        self._calls.setdefault(key.call_id, {})[key] = participant
        self._participants[participant.number] = participant
        return participant, effects

    def remove(self, key: ParticipantKey) -> list[Effect]:
        """End a device's media; nothing if it is not there."""
        participant = self.find(key)
        return [] if participant is None else self._step(participant, Input.REMOVED)

    def end_call(self, call_id: CallId) -> list[Effect]:
        """End the media of everyone in a call."""
        return [effect for key in list(self._calls.get(call_id, ())) for effect in self.remove(key)]

    def stop(self) -> list[Effect]:
        """End everyone's media, because the worker ends."""
        return [effect for participant in self.participants for effect in self._step(participant, Input.WORKER_STOPPED)]

    def handle_transport_up(self, participant: Participant, now: float) -> list[Effect]:
        """DTLS is up."""
        participant.heard_at = now
        return self._step(participant, Input.TRANSPORT_UP)

    def handle_transport_closed(self, participant: Participant) -> list[Effect]:
        """The client closed DTLS, or its handshake failed."""
        return self._step(participant, Input.TRANSPORT_CLOSED)

    def handle_consent(self, participant: Participant, now: float) -> None:
        """An authenticated STUN check of the participant came."""
        participant.heard_at = now

    def handle_mute(self, participant: Participant, audio: bool, video: bool) -> list[Effect]:
        """What the client says of its microphone and camera; its receivers are told when that is new."""
        receivers: dict[ParticipantNumber, None] = {}
        for publication in participant.publications:
            muted = audio if publication.kind == "audio" else video
            if publication.muted != muted:
                publication.muted = muted
                receivers |= {slot.receiver: None for slot in publication.slots}
        return [SendSlotMap(receiver) for receiver in receivers]

    def handle_rtp(self, participant: Participant, datagram: bytes, now: float) -> list[Effect]:
        """Route one decrypted RTP packet. Raises PacketError with the reason for a drop."""
        header = parse_header(datagram)
        stream = participant.find_stream(datagram, header)
        effects = self._note_media(participant, now)
        is_new = stream.last_packet_at is None
        packet, repairable = stream.receive(datagram, header, now)
        publication = stream.publication
        if not repairable:
            publication.want_key_frame(stream)
        elif len(stream.gaps):
            self._with_gaps.add(stream)
        if is_new:
            effects += self._aim(publication, now)
        slots = tuple([slot for slot in publication.slots if slot.accept(stream, packet, now)])
        if slots:
            effects.append(SendMedia(slots, packet))
        return effects

    def handle_rtcp(self, participant: Participant, datagram: bytes, now: float) -> list[Effect]:
        """Take in one decrypted RTCP packet. Raises PacketError with the reason for a drop."""
        reports = parse_compound(datagram)
        effects = self._note_media(participant, now)
        ntp = self._ntp(now)
        for report in reports:
            effects += feedback.handle_report(participant, report, now, ntp)
        for slot in participant.slots:
            if slot.publication is not None:
                effects += self._request_key_frame(slot.publication, now)
        return effects

    def tick(self, now: float) -> list[Effect]:
        """What is due at `now`: NACKs and key-frame requests at each call, the rest at its own interval."""
        effects: list[Effect] = []
        for stream in list(self._with_gaps):
            publisher = self.find(stream.publication.publisher)
            if not len(stream.gaps) or publisher is None or publisher.streams.get(stream.ssrc) is not stream:
                self._with_gaps.discard(stream)
                continue
            effects += feedback.build_nacks(publisher, stream, now)
        if now >= self._layers_due:
            self._layers_due = now + LAYER_INTERVAL_S
            for participant in self._participants.values():
                for publication in participant.publications:
                    effects += self._aim(publication, now)
        if now >= self._reports_due:
            self._reports_due = now + REPORT_INTERVAL_S
            effects += self._tick_participants(now)
        return effects

    def _tick_participants(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        ntp = self._ntp(now)
        for participant in self.participants:
            timeout = timeout_of(participant.state, participant.joined_at, participant.heard_at, now)
            if timeout is not None:
                effects += self._step(participant, timeout)
            elif participant.state is not State.WAITING:
                effects += feedback.build_reports(participant, now, ntp)
        return effects

    def _note_media(self, participant: Participant, now: float) -> list[Effect]:
        participant.heard_at = now
        return self._step(participant, Input.MEDIA) if participant.state is State.CONNECTED else []

    def _aim(self, publication: Publication, now: float) -> list[Effect]:
        """Aim each slot of a publication at its best layer, and ask for the key frames that are missing."""
        layers = publication.streams_upwards()
        arrivals = [layer.last_packet_at for layer in layers]
        for slot in publication.slots:
            place = choose_layer(arrivals, slot.limit.steps_down, now)
            if place is not None:
                slot.want(layers[place])
            if slot.wanted is not None and slot.kind == "video":
                publication.want_key_frame(slot.wanted)
        return self._request_key_frame(publication, now)

    def _request_key_frame(self, publication: Publication, now: float) -> list[Effect]:
        stream = publication.take_key_frame_request(now)
        publisher = self.find(publication.publisher)
        if stream is None or publisher is None:
            return []
        return [feedback.build_key_frame_request(publisher, stream)]

    def _ntp(self, now: float) -> int:
        return ntp_from_unix(now + self._unix_offset_s)

    def _step(self, participant: Participant, happened: Input) -> list[Effect]:
        actions, participant.state = step(participant.state, happened)
        effects: list[Effect] = []
        for action in actions:
            if action is Action.TAKE_SLOTS:
                effects += self._connect(participant)
            elif action is Action.ANNOUNCE:
                effects.append(AnnounceConnected(participant.key))
            elif isinstance(action, LeaveReason):
                effects += self._leave(participant, action)
        return effects

    def _connect(self, participant: Participant) -> list[Effect]:
        """Put the participant on the others' slots and the others on its own."""
        changed: dict[ParticipantNumber, None] = {participant.number: None}
        for other in self._calls[participant.key.call_id].values():
            if other is participant or other.state in (State.WAITING, State.GONE):
                continue
            if _assign(participant.publications, other):
                changed[other.number] = None
            _assign(other.publications, participant)
        return [SendSlotMap(number) for number in changed]

    def _leave(self, participant: Participant, reason: LeaveReason) -> list[Effect]:
        call = self._calls[participant.key.call_id]
        if call.get(participant.key) is participant:
            del call[participant.key]
        del self._participants[participant.number]
        if not call:
            del self._calls[participant.key.call_id]
        self._with_gaps -= set(participant.streams.values())
        changed: dict[ParticipantNumber, None] = {}
        for publication in participant.publications:
            for slot in publication.slots:
                slot.assign(None)
                changed[slot.receiver] = None
            publication.slots.clear()
        for slot in participant.slots:
            if slot.publication is not None:
                slot.publication.slots.remove(slot)
                slot.assign(None)
        for number in changed:
            self._fill_free_slots(self._participants[number], call)
        effects: list[Effect] = [SendSlotMap(number) for number in changed]
        return [*effects, Disconnect(participant.number, participant.key, reason)]

    def _fill_free_slots(self, receiver: Participant, call: dict[ParticipantKey, Participant]) -> None:
        for other in call.values():
            if other is not receiver and other.state in (State.CONNECTED, State.FLOWING):
                _assign(other.publications, receiver)


def _assign(publications: list[Publication], receiver: Participant) -> bool:
    """Put publications on the receiver's first free slots of their kinds; what is on a slot stays there."""
    changed = False
    for publication in publications:
        if any(slot.receiver == receiver.number for slot in publication.slots):
            continue
        slot = next((slot for slot in receiver.slots if _is_free(slot.publication, slot.kind, publication.kind)), None)
        if slot is not None:
            slot.assign(publication)
            publication.slots.append(slot)
            changed = True
    return changed


def _is_free(held: Publication | None, kind: Kind, wanted: Kind) -> bool:
    return held is None and kind == wanted
