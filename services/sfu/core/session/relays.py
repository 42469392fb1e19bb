"""Calls that other workers carry too: what goes to these of the participants that are at home here, and what they ask.

One leg for each other worker of a call. Sound goes to all of them, of the videos the layers that they want.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from services.sfu.core.forwarding.publications import InboundStream, Publication
from services.sfu.core.forwarding.stream_relay import Epochs, StreamRelay
from services.sfu.core.ids import CallId, LegNumber, ParticipantKey, ParticipantNumber
from services.sfu.core.session.budgets import Budget
from services.sfu.core.session.effects import Effect, SendRelayed
from services.sfu.core.session.feedback import version_at
from services.sfu.core.session.layer_updates import LayerUpdates
from services.sfu.core.session.lifecycle import TAKING_PART
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.registry import Registry
from services.sfu.core.wire import relay_frames, rtcp
from services.sfu.core.wire.relay_frames import LayerFacts, PublicationFacts, WantedLayer
from services.sfu.core.wire.rtp import MediaPacket
from services.sfu.core.wire.sdp import Offer

# Between two looks at what has changed by itself of what publishers send. Raising it tells others later; lowering it
# costs work for each publisher.
LOOK_INTERVAL_S: Final = 0.1
# Between two times that all is said of a publisher. Raising it leaves what a leg lost unsaid for longer; lowering it
# costs datagrams.
STATE_INTERVAL_S: Final = 1.0
# What a leg wanted is forgotten when it does not say so for this long. Raising it sends for longer to a worker that is
# gone; lowering it stops pictures when some datagrams are lost.
WANTS_LIFE_S: Final = 5.0
# Numbers in NACKs a second and leg. Raising it lets a leg that loses everything cost more; lowering it leaves losses
# unrepaired.
MAX_LEG_NACKED_PER_S: Final = 20_000
# A call that nobody is in here is forgotten after this, and the revision of one that has ended. Raising it keeps for
# longer what a caller that died has left; lowering it forgets a call before its first device comes.
IDLE_S: Final = 60.0
# Streams that begin on a leg in a second, on average over its life, are no more than this. Raising it uses the numbers
# up in fewer years; lowering it lets a leg that is set up anew repeat some.
EPOCHS_PER_S: Final = 20


class RemoteDevice(NamedTuple):
    """A device that is at home on another worker, by its number there."""

    key: ParticipantKey
    leg: LegNumber
    number: ParticipantNumber
    offer: Offer


class _Wants(NamedTuple):
    """What one leg wants of one participant."""

    version: int
    heard_at: float
    layers: frozenset[WantedLayer]


class Leg:
    """To another worker, in one call. `remotes`: who is at home there, by their numbers there."""

    def __init__(self, number: LegNumber, call_id: CallId, now: float) -> None:
        self.number = number
        self.call_id = call_id
        self.remotes: dict[ParticipantNumber, Participant] = {}
        self.wants: dict[ParticipantNumber, _Wants] = {}
        self.nacked = Budget(MAX_LEG_NACKED_PER_S)
        # Beyond those of a leg that was there before: the other end may still know it.
        self.epochs = Epochs(int(now * EPOCHS_PER_S) % (1 << 31) + 1)

    def takes(self, participant: ParticipantNumber, publication: Publication, rid: str) -> bool:
        """Whether a layer goes there."""
        if publication.kind == "audio":
            return True
        wants = self.wants.get(participant)
        return wants is not None and WantedLayer(publication.mid, rid) in wants.layers


class _CallRelays:
    """What was said last of one call."""

    def __init__(self, revision: int, legs: dict[LegNumber, Leg], devices: dict[ParticipantKey, RemoteDevice]) -> None:
        self.revision = revision
        self.legs = legs
        self.devices = devices
        self.idle_since: float | None = None


# All that is told at once when it changes: of each publication its m-line, what is on, and its streams.
_Brief = tuple[tuple[str, bool, bool | None, tuple[tuple[int, str, str], ...]], ...]


class Relays:
    """Those of one worker."""

    def __init__(self, registry: Registry, layers: LayerUpdates) -> None:
        self._registry = registry
        self._layers = layers
        self.legs: dict[LegNumber, Leg] = {}
        self._calls: dict[CallId, _CallRelays] = {}
        # Of calls that have ended: their last revisions, and since when.
        self._ended: dict[CallId, tuple[int, float]] = {}
        self._told: dict[ParticipantNumber, tuple[_Brief, float]] = {}
        self._due: dict[ParticipantNumber, None] = {}
        self._look_due = 0.0

    def __len__(self) -> int:
        """What is held: 0 when no call has another worker."""
        return len(self.legs) + len(self._calls) + len(self._told) + len(self._due)

    def revision_of(self, call_id: CallId) -> int:
        """The last that counted; -1 before the first."""
        relays = self._calls.get(call_id)
        return relays.revision if relays is not None else self._ended.get(call_id, (-1, 0.0))[0]

    def device_of(self, key: ParticipantKey) -> RemoteDevice | None:
        """Where a device is at home besides, if somebody said so."""
        relays = self._calls.get(key.call_id)
        return None if relays is None else relays.devices.get(key)

    def set_call(
        self, call_id: CallId, revision: int, legs: Sequence[LegNumber], devices: Sequence[RemoteDevice], now: float
    ) -> None:
        """A call's legs and remote devices from now on. Legs that were there go on; what is due on the others follows
        at the next tick."""
        former = self._calls.get(call_id)
        known = former.legs if former is not None else {}
        present = {number: known.get(number) or Leg(number, call_id, now) for number in legs}
        for number in known.keys() - present.keys():
            del self.legs[number]
        self.legs |= present
        self._calls[call_id] = _CallRelays(revision, present, {device.key: device for device in devices})
        self._ended.pop(call_id, None)
        for participant in self._registry.locals_of(call_id):
            if present.keys() - known.keys():
                self._told.pop(participant.number, None)
            self._due[participant.number] = None
            self._attach(participant)

    def end_call(self, call_id: CallId, revision: int, now: float) -> None:
        """The call has no other workers."""
        if revision >= 0:
            self._ended[call_id] = revision, now
        relays = self._calls.pop(call_id, None)
        if relays is None:
            return
        for number in relays.legs:
            del self.legs[number]
        for participant in self._registry.locals_of(call_id):
            self._told.pop(participant.number, None)
            self._due.pop(participant.number, None)
            for stream in participant.streams.values():
                stream.relay = None

    def list_calls(self) -> list[CallId]:
        """Those that have other workers."""
        return list(self._calls)

    def note_change(self, participant: Participant) -> None:
        """Something of a participant may have changed that others are to know: it is looked at with the next tick, and
        what is new of its streams goes out at once."""
        if participant.home is None and participant.key.call_id in self._calls:
            self._due[participant.number] = None
            self._attach(participant)

    def forget(self, participant: Participant, now: float) -> list[Effect]:
        """It has left; others are told that nothing of it is on."""
        relays = self._calls.get(participant.key.call_id)
        self._told.pop(participant.number, None)
        self._due.pop(participant.number, None)
        if relays is None:
            return []
        for leg in relays.legs.values():
            leg.wants.pop(participant.number, None)
        frame = relay_frames.build_state(participant.number, version_at(now), ())
        return [SendRelayed(number, frame) for number in relays.legs]

    def forward(self, relay: StreamRelay, packet: MediaPacket, datagram: bytes) -> list[Effect]:
        """A packet of a participant, to the legs that want it."""
        return [SendRelayed(leg, frame) for leg, frame in relay.forward(packet, datagram)]

    def forward_reports(self, participant: Participant, reports: Sequence[rtcp.Report]) -> list[Effect]:
        """What a participant says of its own streams: their clocks, and that they have ended."""
        said: dict[tuple[bool, int], bytes] = {}
        for report in reports:
            if isinstance(report, rtcp.SenderReport):
                said[False, report.ssrc] = rtcp.build_sender_report(report)
            elif isinstance(report, rtcp.Bye):
                said |= {(True, ssrc): rtcp.build_bye([ssrc]) for ssrc in report.ssrcs}
        # However often a packet says it of however many: one frame a leg, that says it once of each stream there is.
        by_leg: dict[LegNumber, bytes] = {}
        for (_, ssrc), packet in said.items():
            stream = participant.streams.get(ssrc)
            if stream is not None and stream.relay is not None:
                for leg in stream.relay.legs:
                    by_leg[leg] = by_leg.get(leg, b"") + packet
        return [
            SendRelayed(leg, relay_frames.build_control(relay_frames.REPORT, participant.number, payload))
            for leg, payload in by_leg.items()
        ]

    # What other workers ask.

    def handle_wants(self, leg: Leg, participant: Participant, frame: bytes, now: float) -> list[Effect]:
        """Which layers of a participant a leg wants."""
        version, wanted = relay_frames.read_wants(frame)
        known = leg.wants.get(participant.number)
        if known is not None and version < known.version:
            return []
        leg.wants[participant.number] = _Wants(version, now, frozenset(wanted))
        return self._follow(participant, now)

    def handle_feedback(self, leg: Leg, participant: Participant, payload: bytes, now: float) -> list[Effect]:
        """What is missing there of a participant's packets, and the key frames that are wanted."""
        effects: list[Effect] = []
        for report in rtcp.parse_compound(payload):
            if isinstance(report, rtcp.Nack):
                effects += self._resend(leg, participant, report, now)
            elif isinstance(report, rtcp.KeyFrameRequest):
                stream = participant.streams.get(report.media_ssrc)
                if stream is not None:
                    effects += self._request_key_frame(leg, participant, stream, now)
        return effects

    def _resend(self, leg: Leg, participant: Participant, nack: rtcp.Nack, now: float) -> list[Effect]:
        stream = participant.streams.get(nack.media_ssrc)
        if stream is None or stream.relay is None or not leg.nacked.spend(len(nack.sequence_numbers), now):
            return []
        found = (stream.relay.find(leg.number, number) for number in nack.sequence_numbers)
        return [SendRelayed(leg.number, frame) for frame in found if frame is not None]

    def _request_key_frame(self, leg: Leg, participant: Participant, stream: InboundStream, now: float) -> list[Effect]:
        effects: list[Effect] = []
        publication = stream.publication
        if not leg.takes(participant.number, publication, stream.rid):
            # What it wants was lost on the way.
            known = leg.wants.get(participant.number) or _Wants(-1, now, frozenset())
            layers = known.layers | {WantedLayer(publication.mid, stream.rid)}
            leg.wants[participant.number] = _Wants(known.version, now, layers)
            effects = self._follow(participant, now)
        if stream.relay is not None and stream.relay.waits(leg.number) and publication.was_asked_lately(now):
            # Its key frame is on the way; what waits asks again.
            return effects
        publication.want_key_frame(stream)
        return effects + self._layers.request_key_frame(publication, now)

    def tick(self, now: float) -> list[Effect]:
        """What is to be told of those whose home is here."""
        due, self._due = self._due, {}
        if now >= self._look_due and (self._calls or self._ended):
            self._look_due = now + LOOK_INTERVAL_S
            self._ended = {call_id: end for call_id, end in self._ended.items() if now - end[1] < IDLE_S}
            for leg in self.legs.values():
                for number in [n for n, wants in leg.wants.items() if now - wants.heard_at >= WANTS_LIFE_S]:
                    del leg.wants[number]
            for call_id in self._calls:
                due |= {participant.number: None for participant in self._registry.locals_of(call_id)}
        effects: list[Effect] = []
        for number in due:
            participant = self._registry.participants.get(number)
            if participant is not None and participant.state in TAKING_PART:
                effects += self._follow(participant, now) + self._tell(participant, now)
        return effects

    def take_idle(self, now: float) -> list[CallId]:
        """Calls that nobody has been in for long."""
        idle: list[CallId] = []
        for call_id, relays in self._calls.items():
            if self._registry.locals_of(call_id):
                relays.idle_since = None
            elif relays.idle_since is None:
                relays.idle_since = now
            elif now - relays.idle_since >= IDLE_S:
                idle.append(call_id)
        return idle

    def _attach(self, participant: Participant) -> list[Publication]:
        """Let each stream go where it is wanted; gives the videos that somebody wants a layer of anew."""
        relays = self._calls.get(participant.key.call_id)
        if relays is None or participant.state not in TAKING_PART:
            return []
        begun: list[Publication] = []
        for stream in participant.streams.values():
            publication = stream.publication
            legs = [
                (leg.number, leg.epochs)
                for leg in relays.legs.values()
                if leg.takes(participant.number, publication, stream.rid)
            ]
            if not legs or publication.layers.get(stream.rid) is not stream:
                stream.relay = None
                continue
            if stream.relay is None:
                stream.relay = StreamRelay(participant.number)
            if stream.relay.follow(legs) and publication.kind == "video":
                publication.want_key_frame(stream)
                begun.append(publication)
        return begun

    def _follow(self, participant: Participant, now: float) -> list[Effect]:
        return [effect for publication in self._attach(participant) for effect in self._layers.follow(publication, now)]

    def _tell(self, participant: Participant, now: float) -> list[Effect]:
        brief = tuple(_brief(publication, now) for publication in participant.publications)
        told, told_at = self._told.get(participant.number, (None, now))
        if brief == told and now - told_at < STATE_INTERVAL_S:
            return []
        self._told[participant.number] = brief, now
        facts = [_facts(publication, now) for publication in participant.publications]
        frame = relay_frames.build_state(participant.number, version_at(now), facts)
        return [SendRelayed(number, frame) for number in self._calls[participant.key.call_id].legs]


def _brief(publication: Publication, now: float) -> tuple[str, bool, bool | None, tuple[tuple[int, str, str], ...]]:
    streams = tuple((stream.ssrc, stream.rid, stream.format) for stream in publication.streams_upwards())
    return publication.mid, publication.is_on(now), publication.declared_on, streams


def _facts(publication: Publication, now: float) -> PublicationFacts:
    layers = tuple(_layer(stream, now) for stream in publication.streams_upwards())
    return PublicationFacts(publication.mid, publication.is_on(now), publication.declared_on, layers)


def _layer(stream: InboundStream, now: float) -> LayerFacts:
    publication = stream.publication
    bps = stream.rate_bps(now)
    rates = tuple(meter.rate_bps for meter in stream.rates)
    if bps and publication.demand.is_settled(stream.rid, now):
        stream.known_bps = rates
    elif bps <= sum(stream.known_bps):
        rates = stream.known_bps
    payload_type = next(number for number, name in publication.codecs.items() if name == stream.format)
    return LayerFacts(stream.ssrc, payload_type, stream.rid, stream.height, tuple(map(int, rates)))
