"""Devices that sleep show what their owners have not read, and nothing that they may not see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.faults.checker.history import Action, History, Notice, Outcome, Shown, without_repetitions
from tests.faults.checker.promises.messages import GONE
from tests.faults.checker.promises.people import is_between, undone_s

SAID = ("text", "voice", "poll", "sticker")
# Of a message that somebody wrote, by whom.
OF_A_MESSAGE = ("message", "mention", "reply")
REACTION = "reaction"


def notices_tell_all(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """A device shows the newest of what others said and its owner has not read, or something newer.

    What the broker had when it lost its data may be lost to push, which has no other source. What is said while the two
    have blocked each other makes no notice, whenever push gets to it.
    """
    sends = {(send.conversation, send.seq): send for send in history.lasting(Action.SEND)}
    blocks = {(block.person, block.subject) for block in history.of(Action.BLOCK)}
    standing = _standing(history)
    for sleeper in history.sleepers:
        for view in history.fresh():
            if view.person != sleeper.person:
                continue
            for message in reversed(view.messages):
                send = sends.get((view.conversation, message.seq))
                pair = {(view.person, message.sender), (message.sender, view.person)}
                is_to_be_told = message.kind in SAID and message.sender != view.person and not pair & blocks
                if message.seq <= view.own_read_seq or not is_to_be_told:
                    continue
                if send is None or send.began_s < sleeper.since_s:
                    continue
                shown = standing.get((sleeper.device, _thread(view.conversation)))
                if shown is None or shown.seq < message.seq:
                    there = f"seq {shown.seq}" if shown else "nothing"
                    yield (
                        (view.conversation, sleeper.device, str(message.seq)),
                        f"{view.person} has not read seq {message.seq} of {view.conversation}; {sleeper.device} shows "
                        f"{there}",
                    )
                break


def notices_go_when_read(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """What was read with acknowledgement stands on no device. A reaction is to something old, and stays till later."""
    standing = _standing(history)
    for read in history.lasting(Action.READ):
        for sleeper in history.sleepers:
            shown = standing.get((sleeper.device, _thread(read.conversation)))
            if sleeper.person != read.person or shown is None or shown.kind == REACTION:
                continue
            if 0 < shown.seq <= max(read.seq, read.asked_seq):
                yield (
                    (read.conversation, sleeper.device),
                    f"{read.person} has read {read.conversation} up to {max(read.seq, read.asked_seq)}; "
                    f"{sleeper.device} still shows seq {shown.seq}",
                )


def notices_keep_the_order(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """What comes for the first time of a thread is newer than all that came before; repetitions may come late."""
    newest: dict[tuple[str, str], int] = defaultdict(int)
    for notice in without_repetitions(history.notices):
        place = (notice.device, notice.thread)
        if notice.version <= newest[place]:
            yield (
                (*place, str(notice.version)),
                f"version {notice.version} of {notice.thread} came to {notice.device} for the first time after "
                f"{newest[place]}",
            )
        newest[place] = max(newest[place], notice.version)


def notices_tell_no_more(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """All are signed, and each that names a sender is of a message of theirs, in their words."""
    for webhook_id in history.disbelieved_notices:
        yield ("signature", webhook_id), f"notice {webhook_id} came with a wrong signature"
    said: dict[tuple[str, str], set[str]] = defaultdict(set)
    for operation in history.of(Action.SEND, Action.EDIT):
        said[_thread(operation.conversation), operation.person].add(operation.text)
    stored = {
        (view.person, _thread(view.conversation)): {message.seq: message for message in view.messages}
        for view in history.fresh()
    }
    for notice in without_repetitions(history.notices):
        if notice.kind not in OF_A_MESSAGE or not notice.sender:
            continue
        key = (notice.device, notice.thread, str(notice.version))
        there = stored.get((notice.person, notice.thread))
        if there is not None and not _stands(there.get(notice.seq), notice):
            yield key, f"{notice.device} was told of seq {notice.seq} of {notice.thread} by {notice.sender}, who is not"
        if notice.text and notice.text not in said[notice.thread, notice.sender]:
            yield key, f"{notice.device} was told words of {notice.sender} that they have not said"


def no_notice_of_the_blocked(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Of what is said after a block was acknowledged no notice comes before that may have been undone."""
    sends = {
        (_thread(send.conversation), send.person, send.seq): send
        for send in history.of(Action.SEND, outcome=Outcome.OK)
    }
    for block in history.of(Action.BLOCK, outcome=Outcome.OK):
        until_s = undone_s(history, block, Action.UNBLOCK, block.subject)
        for notice in without_repetitions(history.notices):
            send = sends.get((notice.thread, notice.sender, notice.seq))
            is_theirs = (notice.person, notice.sender) == (block.person, block.subject) and notice.kind in OF_A_MESSAGE
            if is_theirs and send and notice.at_s < until_s and is_between(history, send, block, until_s):
                yield (
                    (notice.device, notice.thread, str(notice.version)),
                    f"{notice.device} was told of what {notice.sender} said after {notice.person} had blocked them",
                )


def _stands(message: Shown | None, notice: Notice) -> bool:
    """Whether this is what the notice is of. Of a deleted account not even the name stays."""
    return message is not None and (message.sender == notice.sender or message.kind in GONE)


def _standing(history: History) -> Mapping[tuple[str, str], Notice]:
    """What each device shows of each thread: of all that came the newest, unless that takes back."""
    newest: dict[tuple[str, str], Notice] = {}
    for notice in history.notices:
        place = (notice.device, notice.thread)
        newest[place] = max(newest.get(place, notice), notice, key=lambda one: one.version)
    return {place: notice for place, notice in newest.items() if notice.kind}


def _thread(conversation: str) -> str:
    return f"conversation:{conversation}"
