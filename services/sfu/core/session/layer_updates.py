"""When the layers of a receiver's slots are selected anew, and what follows: requests for key frames, and probes."""

from collections.abc import Iterable
from typing import Final

from services.sfu.core.forwarding.publications import Publication
from services.sfu.core.selection.layer_selection import select_layers
from services.sfu.core.selection.layers import LayerChoices
from services.sfu.core.selection.tunables import (
    DEMAND_INTERVAL_S,
    LAYER_INTERVAL_S,
    SILENT_LAYER_S,
    SUDDEN_DROP,
)
from services.sfu.core.session import feedback
from services.sfu.core.session.effects import Effect, SendRepair, SendSlotMap, SendWantedLayers
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.registry import Registry

# Between two looks at whether feedback stays away. Raising it sees that later; lowering it costs work for each
# participant.
FEEDBACK_TIMEOUT_INTERVAL_S: Final = 0.05
# Packets of a probe at one tick. Raising it sends bursts; lowering it means that high rates cannot be tried.
MAX_PROBE_PACKETS: Final = 16


class LayerUpdates:
    """Those of all receivers of a worker."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._choices = LayerChoices()
        self._probing: set[Participant] = set()
        self._key_frames_due = self._feedback_timeouts_due = self._demand_due = 0.0

    def select(self, receivers: Iterable[Participant], now: float) -> list[Effect]:
        """Select what the paths of these receivers bear, and ask for the key frames that are missing."""
        wanting: dict[Publication, None] = {}
        for receiver in receivers:
            wanting |= dict.fromkeys(select_layers(receiver.slots, receiver.path, self._choices, now))
            if receiver.path.needed_bps > receiver.path.estimate_bps(now):
                self._probing.add(receiver)
            else:
                self._probing.discard(receiver)
        effects: list[Effect] = []
        for publication in wanting:
            effects += self._update_demand(publication, now)
            effects += self.request_key_frame(publication, now)
        return effects

    def _update_demand(self, publication: Publication, now: float) -> list[Effect]:
        """Follow what receivers take of a publication's layers; what its publisher is to be told."""
        flowing = {
            rid
            for rid, stream in publication.layers.items()
            if stream.last_packet_at is not None and now - stream.last_packet_at < SILENT_LAYER_S
        }
        if not publication.update_demand(flowing, now):
            return []
        publisher = self._registry.find(publication.publisher)
        if publisher is None:
            return []
        if publisher.home is not None:
            return [feedback.build_wants(publisher, publisher.home, now)]
        return [SendWantedLayers(publisher.number)]

    def follow(self, publication: Publication, now: float) -> list[Effect]:
        """Another worker wants of a publication what it did not before, or no more."""
        return self._update_demand(publication, now) + self.request_key_frame(publication, now)

    def select_for_remapped(self, effects: Iterable[Effect], now: float) -> list[Effect]:
        """Select for receivers whose slot map changed: a person who is new on a slot is heard and seen at once."""
        participants = self._registry.participants
        remapped = [participants.get(effect.receiver) for effect in effects if isinstance(effect, SendSlotMap)]
        return self.select([receiver for receiver in remapped if receiver is not None], now)

    def select_after_drop(self, receiver: Participant, now: float) -> list[Effect]:
        """Select at once when the estimate has fallen far below what was allocated."""
        path = receiver.path
        is_due = now >= path.selected_at + LAYER_INTERVAL_S / 5
        if path.estimate_bps(now) < SUDDEN_DROP * path.allocated_bps and is_due:
            return self.select([receiver], now)
        return []

    def request_key_frame(self, publication: Publication, now: float) -> list[Effect]:
        """The request that is due to the publisher."""
        stream = publication.take_key_frame_request(now)
        publisher = self._registry.find(publication.publisher)
        if stream is None or publisher is None:
            return []
        return [feedback.build_key_frame_request(publisher, stream)]

    def tick(self, now: float) -> list[Effect]:
        """What is due: each receiver at its own time, since all at once would hold up the media."""
        participants = self._registry.participants.values()
        due = [p for p in participants if now - p.path.selected_at >= LAYER_INTERVAL_S]
        if now >= self._feedback_timeouts_due:
            self._feedback_timeouts_due = now + FEEDBACK_TIMEOUT_INTERVAL_S
            due += [p for p in participants if p.path.check_feedback_timeout(now)]
        effects = self.select(due, now)
        if now >= self._key_frames_due:
            self._key_frames_due = now + LAYER_INTERVAL_S
            for participant in participants:
                for publication in participant.publications:
                    effects += self.request_key_frame(publication, now)
        if now >= self._demand_due:
            self._demand_due = now + DEMAND_INTERVAL_S
            for participant in participants:
                for publication in participant.publications:
                    effects += self._update_demand(publication, now)
        return effects

    def tick_probes(self, now: float) -> list[Effect]:
        """What the probes of this tick send."""
        effects: list[Effect] = []
        for participant in self._probing:
            size = participant.path.poll_probe(now)
            slot = next((slot for slot in participant.slots if slot.can_probe), None) if size > 0 else None
            packet = slot.find_probe() if slot is not None else None
            if slot is None or packet is None:
                continue
            count = min(-(-size // (len(packet.info.payload) + 22)), MAX_PROBE_PACKETS)
            effects += [SendRepair(slot, packet, is_probe=True)] * count
        return effects

    def forget(self, participant: Participant) -> None:
        """It has left."""
        self._probing.discard(participant)
        self._choices.forget(participant.publications)
