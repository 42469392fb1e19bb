"""How far people have read, and what is counted as unread above that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.checker.history import Action, History, Operation, Outcome

COUNTED = ("text", "voice", "poll", "sticker", "call")


def read_cursors_only_move_forward(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """What MarkRead answers is never below what was acknowledged before it was asked, on whatever device."""
    reads: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for read in history.of(Action.READ, outcome=Outcome.OK):
        reads[read.conversation, read.person].append(read)
    for key, asked in reads.items():
        ended = sorted(asked, key=lambda read: read.ended_s)
        before = 0
        at = 0
        for read in sorted(asked, key=lambda read: read.began_s):
            while ended[at].ended_s < read.began_s:
                before = max(before, ended[at].asked_seq)
                at += 1
            if read.seq < max(before, read.asked_seq):
                yield (
                    (*key, str(read.number)),
                    f"{read.person} had read up to {max(before, read.asked_seq)} with acknowledgement; {read.device} "
                    f"was told {read.seq} then",
                )


def read_cursors_are_told(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """All devices of a person show one's own cursor where it stands."""
    stored = {(view.person, view.conversation): view.own_read_seq for view in history.fresh()}
    for view in history.views:
        seq = stored.get((view.person, view.conversation), view.own_read_seq)
        if view.own_read_seq != seq:
            yield (
                (view.conversation, view.device),
                f"{view.person} has read {view.conversation} up to {seq}; {view.device} shows {view.own_read_seq}",
            )


def read_cursors_hold(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """A read cursor stands at least where its owner put it, and nobody is told more than was asked."""
    least: dict[tuple[str, str], int] = defaultdict(int)
    most: dict[tuple[str, str], int] = defaultdict(int)
    for read in history.of(Action.READ):
        at = (read.conversation, read.person)
        if read.outcome is Outcome.OK:
            least[at] = max(least[at], read.asked_seq)
        if read.outcome is not Outcome.FAILED:
            most[at] = max(most[at], read.asked_seq)
    for view in history.fresh():
        # What was said before somebody came (again) counts as read.
        most[view.conversation, view.person] = max(most[view.conversation, view.person], view.first_seq - 1)
        for message in view.messages:
            # Whoever writes has read what stands above it.
            at = (view.conversation, message.sender)
            most[at] = max(most[at], message.seq)
    for view in history.fresh():
        own = least[view.conversation, view.person]
        if view.own_read_seq < own:
            yield (
                (view.conversation, view.person),
                f"{view.person} has read up to {own} with acknowledgement, and is told {view.own_read_seq}",
            )
        for person, seq in (*view.read_by.items(), (view.person, view.own_read_seq)):
            if seq > most[view.conversation, person]:
                yield (
                    (view.conversation, person),
                    f"{person} has read up to {most[view.conversation, person]} at most; {view.device} is told {seq}",
                )


def unread_is_counted(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """What others said above one's own cursor and that stands is counted as unread, each message once."""
    for view in history.fresh():
        if view.unread is None:
            continue
        above = (message for message in view.messages if message.seq > view.own_read_seq)
        count = sum(message.kind in COUNTED and message.sender != view.person for message in above)
        if count != view.unread:
            yield (
                (view.conversation, view.person),
                f"{view.person} is told of {view.unread} unread messages in {view.conversation}; there are {count}",
            )
