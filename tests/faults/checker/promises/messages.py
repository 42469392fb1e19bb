"""What is stored is what was acknowledged: all of it, once, in one order, for everybody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.checker.history import Action, History, Operation, Outcome, Shown

# What is left of a message that is gone.
GONE = ("unsent", "expired")
# The gRPC codes that no documented refusal has; UNKNOWN is what grpc makes of a handler that raised.
BUGS = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "UNIMPLEMENTED")


def acknowledged_is_stored(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each acknowledged message is stored under the seq that its sender was told, for all who may see it."""
    shown = {id(view): {message.seq: message for message in view.messages} for view in history.fresh()}
    for send in history.of(Action.SEND, outcome=Outcome.OK):
        for view in history.fresh(send.conversation):
            found = shown[id(view)].get(send.seq)
            if send.seq < view.first_seq or (found is not None and _is(found, send)):
                continue
            there = f"{found.client_message_id or found.kind} of {found.sender}" if found else "nothing"
            yield (
                (send.conversation, send.subject),
                f"{send.subject} of {send.person} was acknowledged as seq {send.seq}; {view.person} has {there} there",
            )


def one_seq_for_one_client_id(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """A message that was sent again is the same message: one client id has one seq, and stands once."""
    answered: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for send in history.of(Action.SEND, outcome=Outcome.OK):
        answered[send.conversation, send.person, send.subject].add(send.seq)
    for key, seqs in answered.items():
        if len(seqs) > 1:
            yield key, f"{key[2]} of {key[1]} was acknowledged as {sorted(seqs)}"
    for view in history.views:
        stands: dict[tuple[str, str], list[int]] = defaultdict(list)
        for message in view.messages:
            if message.client_message_id:
                stands[message.sender, message.client_message_id].append(message.seq)
        for (sender, client_id), at in stands.items():
            if len(at) > 1:
                yield (view.conversation, sender, client_id), f"{client_id} of {sender} stands at {at} on {view.device}"


def no_gaps(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Seqs have no gaps, and every device of those who are in a conversation knows it, and up to the same end."""
    ends: dict[str, int] = defaultdict(int)
    for view in history.fresh():
        ends[view.conversation] = max(ends[view.conversation], view.last_seq)
    for view in history.views:
        end = ends[view.conversation]
        had = {message.seq for message in view.messages}
        for seq in range(view.first_seq, end + 1):
            if seq not in had:
                yield (
                    (view.conversation, view.device, str(seq)),
                    f"{view.device} has no seq {seq} of {view.conversation}, which goes to {end}",
                )
    known = {(view.device, view.conversation) for view in history.views}
    devices = {(view.person, view.device) for view in history.views}
    # One that knows nothing at all has no view.
    devices |= {(operation.person, operation.device) for operation in history.operations}
    for view in history.fresh():
        for person, device in devices:
            if person == view.person and (device, view.conversation) not in known:
                yield (view.conversation, device), f"{device} does not know {view.conversation}"


def one_order(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every device shows the same message in the same state at one seq."""
    known: dict[tuple[str, int], tuple[Shown, str]] = {}
    for view in sorted(history.views, key=lambda view: not view.is_fresh):
        for message in view.messages:
            first, device = known.setdefault((view.conversation, message.seq), (message, view.device))
            if first != message:
                yield (
                    (view.conversation, str(message.seq)),
                    f"at seq {message.seq} of {view.conversation}, {device} shows {first} and {view.device} {message}",
                )


def refused_is_not_stored(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """What was refused is nowhere; what is stored was asked for, and says what its sender wrote."""
    asked: dict[tuple[str, str, str], list[Operation]] = defaultdict(list)
    for send in history.of(Action.SEND):
        asked[send.conversation, send.person, send.subject].append(send)
    edits: dict[tuple[str, int], set[str]] = defaultdict(set)
    for edit in history.of(Action.EDIT):
        if edit.outcome is not Outcome.FAILED:
            edits[edit.conversation, edit.seq].add(edit.text)
    for view in history.fresh():
        for message in view.messages:
            sends = asked[view.conversation, message.sender, message.client_message_id]
            may_say = {send.text for send in sends if send.outcome is not Outcome.FAILED}
            may_say |= edits[view.conversation, message.seq]
            if message.kind == "text" and message.text not in may_say:
                why = "which was refused" if sends else "who never sent it"
                yield (
                    (view.conversation, str(message.seq)),
                    f"seq {message.seq} of {view.conversation} says {message.text!r} of {message.sender}, {why}",
                )


def changes_hold(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """What was unsent with acknowledgement is gone, and an edited message says what its last edit says."""
    last: dict[tuple[str, int], Operation] = {}
    unsure: set[tuple[str, int]] = set()
    for change in history.of(Action.EDIT, Action.UNSEND):
        at = (change.conversation, change.seq)
        if change.outcome is Outcome.UNKNOWN:
            # It may be done after all that follows.
            unsure.add(at)
        elif change.outcome is Outcome.OK:
            last[at] = change
    for view in history.fresh():
        for message in view.messages:
            at = (view.conversation, message.seq)
            if at in last and at not in unsure and not _shows(message, last[at]):
                yield (
                    (view.conversation, str(message.seq)),
                    f"the {last[at].action} of seq {message.seq} was acknowledged; {view.person} sees {message}",
                )


def refusals_are_documented(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """However the services fail, what they answer is an error of the API."""
    for operation in history.operations:
        if operation.status.partition(" ")[0] in BUGS:
            yield (
                (str(operation.number),),
                f"{operation.action} of {operation.person} was answered with {operation.status}",
            )


def _is(message: Shown, send: Operation) -> bool:
    """Whether this is what was sent; of a message that is gone, as far as anything is left of it."""
    if message.kind in GONE and not message.client_message_id:
        return True
    return (message.sender, message.client_message_id) == (send.person, send.subject)


def _shows(message: Shown, change: Operation) -> bool:
    if message.kind in GONE:
        # Later than the edit; the unsending, or the end of its time or of its sender.
        return True
    return change.action is Action.EDIT and message.text == change.text
