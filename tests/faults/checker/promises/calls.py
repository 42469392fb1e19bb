"""Every call ends once, for all alike, and is recorded once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.checker.history import Action, History, Outcome


def a_call_ends_once(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each call that was begun has ended when all is quiet, for the same reason for all."""
    ends: dict[str, dict[str, str]] = defaultdict(dict)
    for call in history.calls:
        ends[call.call_id][call.person] = call.end
    for call_id, by_person in ends.items():
        if len(set(by_person.values())) > 1 or "" in by_person.values():
            yield (call_id,), f"call {call_id} ended as {dict(sorted(by_person.items()))}"


def a_call_is_recorded_once(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """A call that has ended has one record in its conversation, for all who may see it.

    Messaging hears of the end by the broker alone: what that had when it lost its data may have no record.
    """
    ended = {call.call_id: call.conversation for call in history.calls if call.end}
    lost_s = history.last_loss_s
    later = {start.subject for start in history.of(Action.START_CALL) if lost_s is not None and start.began_s > lost_s}
    for view in history.fresh():
        records: dict[str, list[int]] = defaultdict(list)
        for message in view.messages:
            if message.kind == "call":
                records[message.call_id].append(message.seq)
        for call_id, conversation in ended.items():
            if conversation != view.conversation or view.first_seq != 1:
                continue
            least = int(lost_s is None or call_id in later)
            if not least <= len(records[call_id]) <= 1:
                yield (call_id,), f"call {call_id} is recorded at {records[call_id]} for {view.person}"


def one_device_takes_a_call(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Of the devices of one person that accept a ringing call, one gets it."""
    took: dict[tuple[str, str], set[str]] = defaultdict(set)
    for accept in history.of(Action.ACCEPT_CALL, outcome=Outcome.OK):
        took[accept.subject, accept.person].add(accept.device)
    for (call_id, person), devices in took.items():
        if len(devices) > 1:
            yield (call_id, person), f"{person} took call {call_id} on {sorted(devices)}"
