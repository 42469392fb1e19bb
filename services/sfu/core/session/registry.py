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
        # Those among them whose home is another worker.
        self.remotes: dict[ParticipantNumber, Participant] = {}
        self._last_number = 0

    def next_number(self) -> ParticipantNumber:
        """A number that was never given before."""
        self._last_number += 1
        return ParticipantNumber(self._last_number)

    @property
    def locals(self) -> list[Participant]:
        """Those whose home is this worker, in the order of their joins."""
        return [participant for participant in self.participants.values() if participant.home is None]

    @property
    def local_calls(self) -> int:
        """How many calls have one of those."""
        return len(self.calls) if not self.remotes else len({member.key.call_id for member in self.locals})

    def locals_of(self, call_id: CallId) -> list[Participant]:
        """Those of one call."""
        call = self.calls.get(call_id)
        return [] if call is None else [member for member in call.members.values() if member.home is None]

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
        if participant.home is not None:
            self.remotes[participant.number] = participant

    def remove_participant(self, participant: Participant) -> None:
        """It has left its call; a call that is empty ends."""
        if not self.call_of(participant).members:
            del self.calls[participant.key.call_id]
        del self.participants[participant.number]
        self.remotes.pop(participant.number, None)
