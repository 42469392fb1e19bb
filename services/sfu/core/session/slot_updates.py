"""When the slots of a call are assigned anew: at once, or with others' changes at a later tick."""

from collections.abc import Iterable
from typing import Final

from services.sfu.core.forwarding.publications import Publication
from services.sfu.core.session.effects import Effect
from services.sfu.core.session.layer_updates import LayerUpdates
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.registry import Registry

# In larger calls a stream that begins or ends is followed at the next tick: to assign the slots takes the square of the
# members, a millisecond at 20. Raising it lets one packet hold up the others' for longer; lowering it brings pictures
# later.
SMALL_CALL: Final = 6


class SlotUpdates:
    """Those of all calls of a worker."""

    def __init__(self, registry: Registry, layers: LayerUpdates) -> None:
        self._registry = registry
        self._layers = layers
        # Participants whose streams began or ended more often than is followed at once.
        self._changed: set[Participant] = set()

    def may_follow(self, participant: Participant, now: float) -> bool:
        """Whether all slots follow now what a participant changed; else a later tick sees to it."""
        is_small = len(self._registry.call_of(participant).members) <= SMALL_CALL
        if is_small and participant.changes.spend(1, now):
            return True
        self._changed.add(participant)
        return False

    def assign(self, participant: Participant, now: float) -> list[Effect]:
        """Assign all slots of a participant's call; who is new on one is heard and seen at once."""
        assigned = self._registry.call_of(participant).assign_slots(now)
        return assigned + self._layers.select_for_remapped(assigned, now)

    def reassign(self, participant: Participant, now: float) -> list[Effect]:
        """What a participant has to be seen and heard is another."""
        return self.assign(participant, now) + self._select_for_receivers(participant.publications, now)

    def tick(self, now: float) -> list[Effect]:
        """Each call once, however many of its participants changed something."""
        due = [participant for participant in self._changed if participant.changes.spend(1, now)]
        self._changed.difference_update(due)
        calls = {participant.key.call_id: participant for participant in due}
        effects = [effect for participant in calls.values() for effect in self.assign(participant, now)]
        publications = [publication for participant in due for publication in participant.publications]
        return effects + self._select_for_receivers(publications, now)

    def forget(self, participant: Participant) -> None:
        """It has left."""
        self._changed.discard(participant)

    def _select_for_receivers(self, publications: Iterable[Publication], now: float) -> list[Effect]:
        slots = (slot for publication in publications for slot in publication.slots)
        receivers = dict.fromkeys(slot.receiver for slot in slots)
        return self._layers.select([self._registry.participants[number] for number in receivers], now)
