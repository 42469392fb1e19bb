"""What a drill says of what it found. Pure: `scenarios.py` destroys, looks, and asks here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from parley_client.delivery_checks import delivery_faults, order_differences
from parley_client.history import History

# (client_message_id, seq) of each acknowledged send.
Acknowledged = Sequence[tuple[str, int]]


@dataclass
class Report:
    """What a drill found. `figures` go into the JSON line as they are."""

    drill: str
    figures: dict[str, object] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"{self.drill}: {text}", file=sys.stderr, flush=True)

    def as_dict(self) -> dict[str, object]:
        """The JSON object."""
        return {"drill": self.drill, "ok": not self.errors, **self.figures, "errors": self.errors}


def missing(acknowledged: Acknowledged, stored: Mapping[int, str]) -> list[int]:
    """The seqs at which `stored` (client_message_id by seq) has not what was acknowledged there."""
    return [seq for client_message_id, seq in acknowledged if stored.get(seq) != client_message_id]


def store_faults(acknowledged: Acknowledged, stored: Mapping[int, str]) -> list[str]:
    """What is wrong with the conversation as the store has it after the disaster."""
    gone = missing(acknowledged, stored)
    faults = [] if acknowledged else ["nothing was acknowledged before the loss, so that nothing is proved"]
    if gone:
        faults.append(f"{len(gone)} acknowledged messages are not there, the first at seq {gone[0]}")
    if stored and (holes := set(range(1, max(stored) + 1)) - stored.keys()):
        faults.append(f"the store has no seq {min(holes)}, though it has {max(stored)}")
    client_ids = [client_message_id for client_message_id in stored.values() if client_message_id]
    if len(client_ids) != len(set(client_ids)):
        faults.append(f"{len(client_ids) - len(set(client_ids))} messages stand twice in the store")
    return faults


def device_faults(acknowledged: Acknowledged, devices: Sequence[History]) -> list[str]:
    """What is wrong with the conversation on the devices, after they have waited for the last of `acknowledged`."""
    faults = [] if acknowledged else ["nothing was acknowledged after the loss, so that nothing is proved"]
    last = max((seq for _, seq in acknowledged), default=0)
    for number, history in enumerate(devices, 1):
        if history.cursor < last:
            faults.append(f"device {number} has the messages up to {history.cursor}, and {last} were acknowledged")
        # One line tells of all that never came.
        had = [(client_message_id, seq) for client_message_id, seq in acknowledged if seq <= history.cursor]
        faults += delivery_faults(history, had)
    first, *others = devices
    return faults + [fault for other in others for fault in order_differences(first, other)]
