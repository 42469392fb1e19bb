"""Who sent what when, whom it reached, and the proof per receiver. Pure: time is an argument."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from parley_client.conversations import Conversations
from parley_client.delivery_checks import delivery_faults, order_differences
from parley_client.entries import Entry
from parley_client.history import Arrival


@dataclass
class Sent:
    """A message on its way. `intended_s`: when it was due; `awaited`: the users whose devices do not have it yet."""

    intended_s: float
    awaited: set[str]
    arrived_s: float = 0.0

    @property
    def is_delivered(self) -> bool:
        """Whether every awaited device got it by its stream."""
        return not self.awaited

    @property
    def last_ms(self) -> float:
        """From the intended send until the last awaited device had it."""
        return (self.arrived_s - self.intended_s) * 1000


@dataclass
class Ledger:
    """What was sent by client_message_id, and what was acknowledged by conversation."""

    sent: dict[str, Sent] = field(default_factory=dict)
    acknowledged: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    undelivered: int = 0

    def begin(self, client_message_id: str, intended_s: float, awaited: Iterable[str]) -> Sent:
        """A send is due."""
        sent = self.sent[client_message_id] = Sent(intended_s, set(awaited))
        self.undelivered += 1
        return sent

    def reach(self, user_id: str, client_message_id: str, now_s: float) -> None:
        """A stream brought a message for the first time."""
        sent = self.sent.get(client_message_id)
        if sent is None or user_id not in sent.awaited:
            return
        sent.awaited.discard(user_id)
        if not sent.awaited:
            sent.arrived_s = now_s
            self.undelivered -= 1


@dataclass
class Receiver:
    """What one device was told: by its stream, in order of arrival, and by Sync."""

    user_id: str
    conversations: Conversations
    live: set[tuple[str, int]] = field(default_factory=set)
    doubled: int = 0
    early: int = 0

    def take_live(self, entry: Entry) -> bool:
        """Takes a message of the stream; whether the stream brought it for the first time."""
        key = (entry.conversation_id, entry.seq)
        if key in self.live:
            self.doubled += 1
            return False
        self.live.add(key)
        if self.conversations.begin(entry.conversation_id).add(entry) is Arrival.GAP:
            self.early += 1
        return True


@dataclass(frozen=True)
class Proof:
    """What was wrong over all receivers; all empty and 0 when nothing was."""

    lost: int
    duplicated: int
    reordered: int
    faults: list[str]


def prove(receivers: Iterable[Receiver], acknowledged: dict[str, list[tuple[str, int]]]) -> Proof:
    """Compares what the devices have after a last Sync with what the senders were told, and with each other.

    lost: acknowledged messages that a device of the conversation has not got. duplicated: messages that a stream
    brought twice, or that stand twice. reordered: messages that a stream brought before an earlier one, or that stand
    in another place on another device.
    """
    everybody = list(receivers)
    lost = 0
    faults: list[str] = []
    different: list[str] = []
    first: dict[str, Receiver] = {}
    for receiver in everybody:
        for history in receiver.conversations:
            acks = acknowledged.get(history.conversation_id, [])
            lost += sum(1 for _, seq in acks if history.entry(seq) is None)
            faults += delivery_faults(history, acks)
            one = first.setdefault(history.conversation_id, receiver)
            different += order_differences(one.conversations.history(history.conversation_id), history)
    lost += sum(len(acks) for conversation_id, acks in acknowledged.items() if conversation_id not in first)
    twice = sum(1 for fault in faults if "stands twice" in fault)
    return Proof(
        lost=lost,
        duplicated=sum(receiver.doubled for receiver in everybody) + twice,
        reordered=sum(receiver.early for receiver in everybody) + len(different),
        faults=(faults + different)[:20],
    )
