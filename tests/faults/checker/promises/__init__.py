"""What must hold of every history, whatever was done to the stack. Pure.

A promise is a function that gives each breach as a key and a text. A new one is a function and a line in `PROMISES`;
tests/unit/faults shows that it finds what it is for. Each allows for what a client cannot know: what it got no answer
to may have been done or not. Two breaches with one key are the same one, also in a shorter history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.faults.checker.history import History
from tests.faults.checker.promises import (
    calls,
    cursors,
    media,
    messages,
    notices,
    people,
    reactions,
    vanishing,
    votes,
    webhooks,
)

Promise = Callable[[History], Iterator[tuple[tuple[str, ...], str]]]


@dataclass(frozen=True)
class Breach:
    """A promise that was not kept."""

    promise: str
    key: tuple[str, ...]
    text: str


PROMISES: Mapping[str, Promise] = {
    "acknowledged is stored": messages.acknowledged_is_stored,
    "one seq for one client id": messages.one_seq_for_one_client_id,
    "no gaps": messages.no_gaps,
    "one order": messages.one_order,
    "refused is not stored": messages.refused_is_not_stored,
    "changes hold": messages.changes_hold,
    "refusals are documented": messages.refusals_are_documented,
    "vanished is gone": vanishing.vanished_is_gone,
    "reactions hold": reactions.reactions_hold,
    "votes hold": votes.votes_hold,
    "read cursors hold": cursors.read_cursors_hold,
    "read cursors only move forward": cursors.read_cursors_only_move_forward,
    "read cursors are told": cursors.read_cursors_are_told,
    "unread is counted": cursors.unread_is_counted,
    "nothing after a block": people.nothing_after_a_block,
    "nothing after a removal": people.nothing_after_a_removal,
    "deleted accounts are gone": people.deleted_accounts_are_gone,
    "a call ends once": calls.a_call_ends_once,
    "a call is recorded once": calls.a_call_is_recorded_once,
    "one device takes a call": calls.one_device_takes_a_call,
    "media goes on": media.media_goes_on,
    "webhooks tell all": webhooks.webhooks_tell_all,
    "webhooks keep the order": webhooks.webhooks_keep_the_order,
    "webhooks tell no more": webhooks.webhooks_tell_no_more,
    "notices tell all": notices.notices_tell_all,
    "notices go when read": notices.notices_go_when_read,
    "notices keep the order": notices.notices_keep_the_order,
    "notices tell no more": notices.notices_tell_no_more,
    "no notice of the blocked": notices.no_notice_of_the_blocked,
}


def breaches(history: History) -> list[Breach]:
    """Every breach of every promise, each key once."""
    found: dict[tuple[str, ...], Breach] = {}
    for name, promise in PROMISES.items():
        for key, text in promise(history):
            found.setdefault((name, *key), Breach(name, key, text))
    return list(found.values())
