"""The calls and participants of one worker, by their names and numbers."""

from services.sfu.core.ids import CallId, ParticipantKey, ParticipantNumber
from services.sfu.core.session.calls import Call
from services.sfu.core.session.participants import Participant


class Registry:
    """All that are there; a call is kept while it has a participant."""

    def __init__(self) -> None:
        self.calls: dict[CallId, Call] = {}
        # In the order of their joins.
        self.participants: dict[ParticipantNumber, Participant] = {}
        self._last_number = 0

    def next_number(self) -> ParticipantNumber:
        """A number that was never given before."""
        self._last_number += 1
        return ParticipantNumber(self._last_number)

    def find(self, key: ParticipantKey) -> Participant | None:
        """The participant of this name, if it is in the call."""
        call = self.calls.get(key.call_id)
        return None if call is None else call.members.get(key)

    def call_of(self, participant: Participant) -> Call:
        """The call of a participant that is there."""
        return self.calls[participant.key.call_id]

    def add_participant(self, participant: Participant) -> None:
        """It joins its call, which begins with the first."""
        self.calls.setdefault(participant.key.call_id, Call()).members[participant.key] = participant
        self.participants[participant.number] = participant

    def remove_participant(self, participant: Participant) -> None:
        """It has left its call; a call that is empty ends."""
        if not self.call_of(participant).members:
            del self.calls[participant.key.call_id]
        del self.participants[participant.number]
