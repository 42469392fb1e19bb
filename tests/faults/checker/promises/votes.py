"""A vote is its owner's: in a poll stands what they chose last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.checker.history import Action, History, Operation, Outcome, Shown
from tests.faults.checker.promises.reactions import known_last

# A conversation, a seq and a person.
_Ballot = tuple[str, int, str]


def votes_hold(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """What somebody chose with acknowledgement is their whole vote, and nobody's stands who asked for none."""
    certain = known_last(history, (Action.VOTE,), _ballot)
    asked: dict[_Ballot, set[str]] = defaultdict(set)
    for vote in history.of(Action.VOTE):
        if vote.outcome is not Outcome.FAILED:
            asked[_ballot(vote)] |= _options(vote)
    for view in history.fresh():
        polls = {message.seq: _standing(message) for message in view.messages if message.kind == "poll"}
        for (conversation, seq, person), vote in certain.items():
            if conversation == view.conversation and seq in polls and polls[seq][person] != _options(vote):
                yield (
                    (conversation, str(seq), person),
                    f"{person} chose {vote.subject or 'nothing'} at seq {seq}, which was acknowledged; {view.person} "
                    f"sees {sorted(polls[seq][person])}",
                )
        for seq, person in ((seq, person) for seq, votes in polls.items() for person in votes):
            if more := polls[seq][person] - asked[view.conversation, seq, person]:
                yield (
                    (view.conversation, str(seq), person),
                    f"{sorted(more)} of {person} stand at seq {seq} of {view.conversation}, for which they never voted",
                )


def _standing(poll: Shown) -> dict[str, set[str]]:
    """What each person chose."""
    chosen: dict[str, set[str]] = defaultdict(set)
    for option, person in (vote.split() for vote in poll.votes):
        chosen[person].add(option)
    return chosen


def _options(vote: Operation) -> set[str]:
    return set(vote.subject.split())


def _ballot(vote: Operation) -> _Ballot:
    return vote.conversation, vote.seq, vote.person
