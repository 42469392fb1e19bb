"""Carries out what the core wants done: packets to the egress, messages to data channels, news to the events."""

import asyncio
from collections.abc import Callable, Iterable

from services.runtime import tasks
from services.runtime.clock import Clock
from services.sfu.channel import encode_slot_map, encode_speakers, encode_wanted_layers
from services.sfu.connections import Connections, log_participant
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.session.effects import (
    AnnounceConnected,
    AnnounceSilence,
    Disconnect,
    Effect,
    SendMedia,
    SendRelayed,
    SendRepair,
    SendRtcp,
    SendSlotMap,
    SendSpeakers,
    SendWantedLayers,
)
from services.sfu.core.session.participants import Participant
from services.sfu.egress import Egress
from services.sfu.ports import Events


class EffectsRunner:
    """`on_left` is told of each participant that is gone, `relay` takes what goes to other workers. `maps_due`,
    `layers_due`: participants whose slot map, or whose wanted layers, wait to be sent, at the latest for their channel
    to open."""

    def __init__(
        self,
        connections: Connections,
        egress: Egress,
        events: Events,
        clock: Clock,
        on_left: Callable[[ParticipantNumber], None],
        relay: Callable[[SendRelayed], None],
    ) -> None:
        self._connections = connections
        self._egress = egress
        self._events = events
        self._clock = clock
        self._on_left = on_left
        self._relay = relay
        self.maps_due: set[ParticipantNumber] = set()
        self.layers_due: set[ParticipantNumber] = set()
        self.closing: set[asyncio.Task[None]] = set()

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Carry effects out and send at once."""
        self.queue(effects, self._clock.monotonic())
        self._egress.flush()

    def queue(self, effects: Iterable[Effect], now: float) -> None:
        """Carry effects out; packets go out with the next flush of the egress."""
        for effect in effects:
            match effect:
                case SendMedia():
                    self._egress.send_media(effect, now)
                case SendRepair():
                    self._egress.send_repair(effect, now)
                case SendRtcp():
                    self._egress.send_rtcp(effect)
                case SendRelayed():
                    self._relay(effect)
                case SendSlotMap():
                    self.maps_due.add(effect.receiver)
                case SendWantedLayers():
                    self.layers_due.add(effect.publisher)
                case SendSpeakers():
                    self.send_message(effect.receiver, encode_speakers(effect.speakers))
                case AnnounceConnected() | AnnounceSilence() | Disconnect():
                    self._announce(effect)

    def _announce(self, effect: AnnounceConnected | AnnounceSilence | Disconnect) -> None:
        match effect:
            case AnnounceConnected(key):
                self._events.media_connected(key)
            case AnnounceSilence(key, silence_s):
                self._events.media_silent(key, silence_s)
            case Disconnect():
                self._disconnect(effect)

    def announce(self, number: ParticipantNumber) -> None:
        """A channel is open: say how everything stands."""
        self.maps_due.add(number)
        self.layers_due.add(number)

    def send_states(self) -> None:
        """Send the slot maps and the wanted layers that are due, where the channel is open."""
        for number in list(self.maps_due):
            self._send_state(number, self.maps_due, _slot_map_of)
        for number in list(self.layers_due):
            self._send_state(number, self.layers_due, _wanted_layers_of)

    def _send_state(
        self, number: ParticipantNumber, due: set[ParticipantNumber], encode: Callable[[Participant], bytes]
    ) -> None:
        connection = self._connections.by_number.get(number)
        if connection is None or (connection.srtp is not None and connection.sctp_port is None):
            due.discard(number)
            return
        channel = connection.channel
        if channel is not None and channel.send(encode(connection.participant)):
            due.discard(number)

    def send_message(self, number: ParticipantNumber, message: bytes) -> None:
        """For what the next message makes good: nothing is kept for a channel that is not open."""
        connection = self._connections.by_number.get(number)
        if connection is not None and connection.channel is not None:
            connection.channel.send(message)

    def _disconnect(self, effect: Disconnect) -> None:
        connection = self._connections.remove(effect.number)
        self.maps_due.discard(effect.number)
        self.layers_due.discard(effect.number)
        self._events.media_disconnected(effect.key, effect.reason)
        log_participant(connection.participant, "participant_left", reason=effect.reason.name)
        self._on_left(effect.number)
        task = tasks.detached(connection.close(), name="close-connection", why="ends when the peer has been told")
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)


def _slot_map_of(participant: Participant) -> bytes:
    return encode_slot_map(participant.slot_map(), participant.unseen, participant.unseen_by)


def _wanted_layers_of(participant: Participant) -> bytes:
    return encode_wanted_layers(participant.layer_states(), participant.codec_states())
