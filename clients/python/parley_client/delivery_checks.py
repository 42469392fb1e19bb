"""Whether devices show what was acknowledged: nothing lost, doubled or reordered. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from parley_client.history import History


def delivery_faults(history: History, acknowledged: Iterable[tuple[str, int]]) -> list[str]:
    """What is wrong with a conversation on a device, given what the senders were told: empty means nothing.

    `acknowledged`: (client_message_id, seq) of each acknowledged send.
    """
    faults = list(history.conflicts)
    if history.held_back:
        faults.append(f"seq {history.cursor + 1} never came, though seq {min(history.held_back)} did")
    seqs_by_client_id: dict[tuple[str, str], list[int]] = {}
    for entry in history.shown:
        if entry.client_message_id:
            seqs_by_client_id.setdefault((entry.sender_id, entry.client_message_id), []).append(entry.seq)
    faults += [f"{key[1]} stands twice: seq {seqs}" for key, seqs in seqs_by_client_id.items() if len(seqs) > 1]
    for client_message_id, seq in acknowledged:
        known = history.entry(seq) if seq > history.base else None
        if seq > history.base and (known is None or known.client_message_id != client_message_id):
            faults.append(f"acknowledged {client_message_id} is not at seq {seq}")
    return faults


def order_differences(one: History, other: History) -> list[str]:
    """Where two devices see the same conversation differently, over what both have."""
    first = max(one.base, other.base) + 1
    last = min(one.cursor, other.cursor)
    return [
        f"seq {seq} differs between the devices" for seq in range(first, last + 1) if one.entry(seq) != other.entry(seq)
    ]
