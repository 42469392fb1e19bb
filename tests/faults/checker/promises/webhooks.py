"""The network's server is told all that is public: at least once, in order, signed, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from tests.faults.checker.history import Action, History, Hook, Shown, without_repetitions
from tests.faults.checker.promises.messages import GONE

SENT, CHANGED, CALL_ENDED, ACCOUNT = "message.sent", "message.changed", "call.ended", "account.changed"


def webhooks_tell_all(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each message, change of a message, end of a call and deletion that was acknowledged has come at least once.

    What the broker had when it lost its data may be lost to webhooks, which have no other source.
    """
    came = Counter((hook.type, hook.about, hook.place) for hook in without_repetitions(history.hooks))
    # Each edit of the checker says something new, and so has a webhook of its own.
    wanted = Counter((CHANGED, edit.conversation, edit.seq) for edit in history.lasting(Action.EDIT))
    wanted.update({(CHANGED, unsend.conversation, unsend.seq) for unsend in history.lasting(Action.UNSEND)})
    wanted.update({(SENT, send.conversation, send.seq) for send in history.lasting(Action.SEND)})
    ends = {hook.about for hook in history.hooks if hook.type == CALL_ENDED}
    for (type_, about, place), count in wanted.items():
        if came[type_, about, place] < count:
            yield (
                (type_, about, str(place)),
                f"{count} of {type_} for seq {place} of {about} are wanted; {came[type_, about, place]} came",
            )
    ended = {call.call_id for call in history.calls if call.end}
    for start in history.lasting(Action.START_CALL):
        if start.subject in ended - ends:
            yield (CALL_ENDED, start.subject), f"call {start.subject} has ended; no {CALL_ENDED} came"
    for deletion in history.lasting(Action.DELETE_ACCOUNT):
        if not any((hook.type, hook.about) == (ACCOUNT, deletion.person) for hook in history.hooks):
            yield (ACCOUNT, deletion.person), f"{deletion.person} was deleted; no {ACCOUNT} came"


def webhooks_keep_the_order(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """What comes for the first time of a conversation or a call comes in its order; repetitions may come late."""
    # By what it is that ascends: the messages of a conversation, the changes of a message, a call.
    newest: dict[tuple[str, ...], Hook] = {}
    for hook in without_repetitions(history.hooks):
        line = _line(hook)
        before = newest.get(line)
        if before is not None and _rank(before) > _rank(hook):
            yield (
                (*line, str(_rank(hook))),
                f"{hook.type} {_rank(hook)} of {hook.about} came for the first time after {_rank(before)}",
            )
        newest[line] = max(before or hook, hook, key=_rank)
        if hook.type == SENT and (CHANGED, hook.about, str(hook.place)) in newest:
            yield (
                (CHANGED, hook.about, str(hook.place)),
                f"a change of seq {hook.place} of {hook.about} came before the message",
            )


def webhooks_tell_no_more(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """All are signed, one id is one event, and each message that was told stands as it was told."""
    for webhook_id in history.disbelieved:
        yield ("signature", webhook_id), f"webhook {webhook_id} came with a wrong signature"
    by_id: dict[str, Hook] = {}
    for hook in history.hooks:
        if replace(by_id.setdefault(hook.webhook_id, hook), at_s=hook.at_s) != hook:
            yield ("id", hook.webhook_id), f"webhook {hook.webhook_id} is both {by_id[hook.webhook_id]} and {hook}"
    stored: dict[str, dict[int, Shown]] = defaultdict(dict)
    for view in history.fresh():
        stored[view.conversation].update({message.seq: message for message in view.messages})
    for hook in by_id.values():
        if hook.type == SENT and hook.about in stored:
            message = stored[hook.about].get(hook.place)
            if message is None or not _is(message, hook):
                there = f"{message.client_message_id or message.kind} of {message.sender}" if message else "nothing"
                yield (
                    (hook.about, str(hook.place)),
                    f"seq {hook.place} of {hook.about} was told as {hook.subject} of {hook.sender}; {there} is there",
                )


def _line(hook: Hook) -> tuple[str, ...]:
    if hook.type == CHANGED:
        return hook.type, hook.about, str(hook.place)
    return (hook.type if hook.type == SENT else hook.type.partition(".")[0], hook.about)


def _rank(hook: Hook) -> int:
    return hook.revision if hook.type == CHANGED else hook.place


def _is(message: Shown, hook: Hook) -> bool:
    if message.kind in GONE and not message.client_message_id:
        return True
    return (message.sender, message.client_message_id) == (hook.sender, hook.subject)
