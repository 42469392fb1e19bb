"""A reaction is its owner's: it stands as they left it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple, TypeVar

from tests.faults.checker.history import Action, History, Operation, Outcome
from tests.faults.checker.promises.messages import GONE

Place = TypeVar("Place", bound=Hashable)


class _At(NamedTuple):
    """`reaction`: emoji and user id, as devices show it."""

    conversation: str
    seq: int
    reaction: str

    @property
    def key(self) -> tuple[str, ...]:
        return self.conversation, str(self.seq), self.reaction


def reactions_hold(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """A reaction that was put or taken back with acknowledgement is so, and nobody's stands who put none."""
    certain = known_last(history, (Action.REACT, Action.TAKE_REACTION), _at)
    put = {_at(change) for change in history.of(Action.REACT) if change.outcome is not Outcome.FAILED}
    for view in history.fresh():
        stands = {message.seq: message.reactions for message in view.messages if message.kind not in GONE}
        for at, change in certain.items():
            if at.conversation != view.conversation or at.seq not in stands:
                continue
            if (at.reaction in stands[at.seq]) != (change.action is Action.REACT):
                yield (
                    at.key,
                    f"to {change.action} was acknowledged for {at.reaction} at seq {at.seq}; {view.person} sees "
                    f"{list(stands[at.seq])}",
                )
        for seq, reactions in stands.items():
            for reaction in reactions:
                at = _At(view.conversation, seq, reaction)
                if at not in put:
                    yield at.key, f"{reaction} stands at seq {seq} of {view.conversation}, where nobody put it"


def known_last(
    history: History, actions: tuple[Action, ...], place_of: Callable[[Operation], Place]
) -> dict[Place, Operation]:
    """The last change of each place, where it is known which was the last."""
    last: dict[Place, Operation] = {}
    # May be done after all that follows; and what becomes of a deleted person's is another promise.
    unsure: set[Place] = set()
    gone = {deletion.person for deletion in history.of(Action.DELETE_ACCOUNT)}
    for change in history.of(*actions):
        if change.outcome is Outcome.UNKNOWN or change.person in gone:
            unsure.add(place_of(change))
        elif change.outcome is Outcome.OK:
            last[place_of(change)] = change
    return {place: change for place, change in last.items() if place not in unsure}


def _at(change: Operation) -> _At:
    return _At(change.conversation, change.seq, f"{change.subject} {change.person}")
