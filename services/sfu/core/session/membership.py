"""Who is in the calls of one worker: joins and leaves, on this worker and on others of a call.

A device is in a call once: as a local participant, or as a remote one while another worker is its home.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final

from services.sfu.core.ids import CallId, LegNumber, ParticipantKey, ParticipantNumber
from services.sfu.core.session.agreement import agree
from services.sfu.core.session.effects import (
    AnnounceConnected,
    AnnounceSilence,
    Disconnect,
    Effect,
    LeaveReason,
    SendSlotMap,
)
from services.sfu.core.session.layer_updates import LayerUpdates
from services.sfu.core.session.lifecycle import Action, Input, State, step, timeout_of
from services.sfu.core.session.participants import Home, Participant, RandomBytes
from services.sfu.core.session.registry import Registry
from services.sfu.core.session.relays import Relays, RemoteDevice
from services.sfu.core.session.slot_updates import SlotUpdates
from services.sfu.core.wire.sdp import Offer

# Between two reports to a participant, and two looks at its timeouts. Raising it sees loss later; lowering it costs
# more RTCP.
REPORT_INTERVAL_S: Final = 1.0


class Membership:
    """That of all calls. `codec_order`: the codecs of video that are wanted, the best first."""

    def __init__(
        self,
        registry: Registry,
        slots: SlotUpdates,
        layers: LayerUpdates,
        relays: Relays,
        random: RandomBytes,
        codec_order: tuple[str, ...],
    ) -> None:
        self._registry = registry
        self._slots = slots
        self._layers = layers
        self._relays = relays
        self._random = random
        self._codec_order = codec_order
        self._reports_due: list[tuple[float, ParticipantNumber]] = []

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

    def get(self, number: ParticipantNumber) -> Participant | None:
        """A participant that has not left."""
        return self._registry.participants.get(number)

    def find(self, key: ParticipantKey) -> Participant | None:
        """The participant of this name, if it is in the call."""
        return self._registry.find(key)

    def list_joined(self, call_id: CallId) -> list[Participant]:
        """Who has joined a call here."""
        return self._registry.locals_of(call_id)

    def join(self, key: ParticipantKey, offer: Offer, now: float) -> tuple[Participant, list[Effect]]:
        """Admit a device; one of the same key leaves as replaced. Its `offer` is the one to be answered."""
        former = self.find(key)
        effects: list[Effect] = []
        if former is not None:
            # A remote one has come here.
            is_local = former.home is None
            effects = self.handle(former, Input.REPLACED, now) if is_local else self._drop_remote(former, now)
        participant = self._admit(key, offer, now)
        heappush(self._reports_due, (now + REPORT_INTERVAL_S, participant.number))
        # While it connects the others go over to what it can decode.
        return participant, effects + self._update_codecs(participant, now)

    def remove(self, key: ParticipantKey, now: float) -> list[Effect]:
        """End a device's media; nothing if it is not there."""
        participant = self.find(key)
        if participant is None or participant.home is not None:
            return []
        return self.handle(participant, Input.REMOVED, now)

    def end_call(self, call_id: CallId, now: float) -> list[Effect]:
        """End the media of everyone in a call."""
        effects = self._end_relays(call_id, self._relays.revision_of(call_id), now)
        return effects + [e for member in self._registry.locals_of(call_id) for e in self.remove(member.key, now)]

    def stop(self, now: float) -> list[Effect]:
        """End everyone's media, because the worker ends."""
        effects: list[Effect] = []
        for participant in self.participants:
            effects += self.handle(participant, Input.WORKER_STOPPED, now)
        for call_id in self._relays.list_calls():
            effects += self._end_relays(call_id, self._relays.revision_of(call_id), now)
        return effects

    def handle(self, participant: Participant, happened: Input, now: float) -> list[Effect]:
        """What follows from what happened to a participant."""
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

    def take_due(self, now: float) -> list[Participant]:
        """Those whose timeouts and reports are due, each at its own time."""
        due: list[Participant] = []
        while self._reports_due and self._reports_due[0][0] <= now:
            _, number = heappop(self._reports_due)
            participant = self.get(number)
            if participant is not None:
                heappush(self._reports_due, (now + REPORT_INTERVAL_S, number))
                due.append(participant)
        return due

    def handle_timeout(self, participant: Participant, now: float) -> list[Effect] | None:
        """What follows from the timeout that has run out; None when none has."""
        timeout = timeout_of(participant.state, participant.joined_at, participant.heard_at, now)
        return None if timeout is None else self.handle(participant, timeout, now)

    def _admit(self, key: ParticipantKey, offer: Offer, now: float, home: Home | None = None) -> Participant:
        call = self._registry.calls.get(key.call_id)
        members = call.members.values() if call is not None else ()
        agreed = agree(offer, [member.decodable for member in members if member.decodable], self._codec_order)
        participant = Participant(self._registry.next_number(), key, agreed, self._random, now, home)
        self._registry.add_participant(participant)
        return participant

    def _connect(self, participant: Participant, now: float) -> list[Effect]:
        """Put the participant on the others' slots and the others on its own."""
        effects = self._slots.assign(participant, now)
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
        self._layers.forget(participant)
        self._slots.forget(participant)
        return effects

    def _update_codecs(self, participant: Participant, now: float) -> list[Effect]:
        """Who is to send another codec, because this participant came or left."""
        call = self._registry.call_of(participant)
        return call.codecs.update(tuple(call.members.values()), self._codec_order, now)

    # Calls that other workers carry too.

    @property
    def relayed_calls(self) -> list[CallId]:
        """Those that other workers carry too."""
        return self._relays.list_calls()

    @property
    def relay_count(self) -> int:
        """What is held for calls that other workers carry too; 0 when there is none."""
        return len(self._registry.remotes) + len(self._relays)

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

    def end_idle_relays(self, now: float) -> list[Effect]:
        """Forget the relays of calls that nobody has been in here for long."""
        return [effect for call_id in self._relays.take_idle(now) for effect in self._end_relays(call_id, -1, now)]

    def _end_relays(self, call_id: CallId, revision: int, now: float) -> list[Effect]:
        effects = [effect for remote in self._remotes_of(call_id) for effect in self._drop_remote(remote, now)]
        self._relays.end_call(call_id, revision, now)
        return effects

    def _remotes_of(self, call_id: CallId) -> list[Participant]:
        return [remote for remote in self._registry.remotes.values() if remote.key.call_id == call_id]

    def _add_remote(self, device: RemoteDevice, now: float) -> list[Effect]:
        leg = self._relays.legs.get(device.leg)
        if leg is None or self.find(device.key) is not None:
            return []
        participant = self._admit(device.key, device.offer, now, Home(device.leg, device.number))
        # Its transport and its timeouts are its home's.
        participant.state = State.FLOWING
        leg.remotes[device.number] = participant
        return self._update_codecs(participant, now)

    def _drop_remote(self, remote: Participant, now: float) -> list[Effect]:
        home = remote.home
        leg = None if home is None else self._relays.legs.get(home.leg)
        if leg is not None and home is not None and leg.remotes.get(home.number) is remote:
            del leg.remotes[home.number]
        remote.state = State.GONE
        return self._take_out(remote, now)
