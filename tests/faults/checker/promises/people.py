"""Who is blocked, removed or deleted says nothing more, and is told nothing more."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tests.faults.checker.history import Action, History, Operation, Outcome

# How long a replica may not know that an account is deleted: PARLEY_ACCOUNT_CHECK_S of the checker's stack.
ACCOUNT_CHECK_S = 1.0


def nothing_after_a_block(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Once a block is acknowledged, nothing that the blocked person writes to the other is taken until it is lifted."""
    for block in history.of(Action.BLOCK, outcome=Outcome.OK):
        until_s = undone_s(history, block, Action.UNBLOCK, block.subject)
        for send in history.of(Action.SEND, outcome=Outcome.OK):
            pair = history.directs.get(send.conversation, ())
            is_theirs = send.person == block.subject and set(pair) == {block.person, block.subject}
            if is_theirs and is_between(history, send, block, until_s):
                yield (
                    (send.conversation, send.subject),
                    f"{send.subject} of {send.person} was taken after {block.person} had blocked them",
                )


def nothing_after_a_removal(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Who is not in a group any more is told nothing that is said later, and can say nothing there."""
    for end in history.of(Action.REMOVE_MEMBER, Action.LEAVE, outcome=Outcome.OK):
        gone = end.subject if end.action is Action.REMOVE_MEMBER else end.person
        until_s = undone_s(history, end, Action.ADD_MEMBER, gone)
        later = {
            send.seq: send
            for send in history.of(Action.SEND, outcome=Outcome.OK)
            if send.conversation == end.conversation and is_between(history, send, end, until_s)
        }
        for send in later.values():
            if send.person == gone:
                yield (
                    (send.conversation, send.subject),
                    f"{send.subject} of {gone} was taken after they had left or been removed",
                )
        for arrival in history.arrivals:
            is_theirs = (arrival.person, arrival.conversation) == (gone, end.conversation)
            if is_theirs and arrival.at_s < until_s and arrival.seq in later:
                yield (
                    (arrival.conversation, arrival.device, str(arrival.seq)),
                    f"{arrival.device} was told seq {arrival.seq}, which was sent after {gone} had gone",
                )


def deleted_accounts_are_gone(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """After the deletion of an account nothing of it is shown, it is in nothing, and nothing more is taken of it."""
    for deletion in history.of(Action.DELETE_ACCOUNT, outcome=Outcome.OK):
        gone = deletion.person
        for later in history.operations:
            # To ask for the deletion once more is allowed.
            is_late = later.began_s > deletion.ended_s + ACCOUNT_CHECK_S and later.action is not Action.DELETE_ACCOUNT
            if later.person == gone and is_late and later.outcome is Outcome.OK:
                yield (gone, str(later.number)), f"{later.action} of {gone} was taken after the deletion"
        for view in history.fresh():
            if gone in view.members:
                yield (gone, view.conversation), f"{gone} is still in {view.conversation}"
            for message in view.messages:
                if message.sender == gone and message.text:
                    yield (
                        (gone, view.conversation, str(message.seq)),
                        f"seq {message.seq} of {view.conversation} still says what {gone} wrote",
                    )


def undone_s(history: History, end: Operation, action: Action, about: str) -> float:
    """When the first operation begins that may undo this one; infinite when none does."""
    undoing = (
        operation.began_s
        for operation in history.of(action)
        if (operation.subject, operation.conversation) == (about, end.conversation)
        and operation.ended_s > end.began_s
        and operation.outcome is not Outcome.FAILED
    )
    return min(undoing, default=math.inf)


def is_between(history: History, send: Operation, end: Operation, until_s: float) -> bool:
    """Whether a message was first sent after `end` was acknowledged, and taken before that may have been undone."""
    firsts = (
        other.began_s
        for other in history.of(Action.SEND)
        if (other.person, other.conversation, other.subject) == (send.person, send.conversation, send.subject)
    )
    return end.ended_s < min(firsts) and send.ended_s < until_s
