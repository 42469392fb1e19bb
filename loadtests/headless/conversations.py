"""What a device knows of its conversations, and the proof that nothing was lost, doubled or reordered.

Pure: no clock, no network, no protobuf. `stream.py` feeds it; the demo and the load tests question it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True)
class CallRecord:
    """The record of an ended call, as the conversation shows it. `outcome` is the enum's name without its prefix."""

    call_id: str
    outcome: str
    video: bool
    length_ms: int


@dataclass(frozen=True)
class Entry:
    """One message. Exactly one of `text` and `call` is set, for the kinds of content that this client knows."""

    conversation_id: str
    seq: int
    message_id: str
    sender_id: str
    client_message_id: str
    text: str | None = None
    call: CallRecord | None = None


class Arrival(Enum):
    """What became of a message that arrived."""

    SHOWN = "shown"
    # Had already: at-least-once delivery, or a live copy of what Sync brought.
    DUPLICATE = "duplicate"
    # Later messages came before earlier ones: kept back until Sync fills the gap.
    GAP = "gap"
    # Another message under a seq or id that is taken: the one thing that must never be.
    CONFLICT = "conflict"


@dataclass
class History:
    """One conversation on one device. `shown` is gapless and ascending from `base + 1` on.

    `base` is above 0 when the device began with the newest page only. `read_seq` is keyed by user id.
    """

    conversation_id: str
    base: int = 0
    shown: list[Entry] = field(default_factory=list)
    held_back: dict[int, Entry] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    read_seq: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    conflicts: list[str] = field(default_factory=list)
    _seq_by_message_id: dict[str, int] = field(default_factory=dict)

    @property
    def cursor(self) -> int:
        """The highest seq up to which the device has everything."""
        return self.base + len(self.shown)

    @property
    def has_gap(self) -> bool:
        """Whether a message waits for earlier ones."""
        return bool(self.held_back)

    def entry(self, seq: int) -> Entry | None:
        """The message with this seq, shown or held back."""
        if self.base < seq <= self.cursor:
            return self.shown[seq - self.base - 1]
        return self.held_back.get(seq)

    def add(self, entry: Entry) -> Arrival:
        """Takes a message from the live stream or from Sync, in any order, any number of times."""
        if entry.seq <= self.base:
            self.duplicates += 1
            return Arrival.DUPLICATE
        known = self.entry(entry.seq)
        if known is not None:
            return self._same_or_conflict(known, entry)
        other_seq = self._seq_by_message_id.get(entry.message_id)
        if other_seq is not None:
            self.conflicts.append(f"message {entry.message_id} has both seq {other_seq} and seq {entry.seq}")
            return Arrival.CONFLICT
        self._seq_by_message_id[entry.message_id] = entry.seq
        self.held_back[entry.seq] = entry
        self._show_what_follows()
        return Arrival.SHOWN if entry.seq <= self.cursor else Arrival.GAP

    def begin_at(self, first_seq: int) -> None:
        """Starts with the newest page: the messages below `first_seq` are not on this device. Only while empty."""
        if not self.shown and first_seq > self.base + 1:
            self.base = first_seq - 1
            self.held_back = {seq: entry for seq, entry in self.held_back.items() if seq > self.base}
            self._show_what_follows()

    def move_read(self, user_id: str, read_seq: int) -> None:
        """A read cursor only moves forward; a late event changes nothing."""
        self.read_seq[user_id] = max(read_seq, self.read_seq.get(user_id, 0))

    def _same_or_conflict(self, known: Entry, entry: Entry) -> Arrival:
        if known == entry:
            self.duplicates += 1
            return Arrival.DUPLICATE
        self.conflicts.append(f"seq {entry.seq} is both message {known.message_id} and {entry.message_id}")
        return Arrival.CONFLICT

    def _show_what_follows(self) -> None:
        while (entry := self.held_back.pop(self.cursor + 1, None)) is not None:
            self.shown.append(entry)


class Conversations:
    """All conversations of one device, by id."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}

    def __contains__(self, conversation_id: str) -> bool:
        return conversation_id in self._histories

    def __iter__(self) -> Iterator[History]:
        return iter(self._histories.values())

    def history(self, conversation_id: str) -> History:
        """The conversation, begun empty when it is new to the device."""
        return self._histories.setdefault(conversation_id, History(conversation_id))

    def add(self, entry: Entry) -> Arrival:
        """Takes one live message."""
        return self.history(entry.conversation_id).add(entry)

    def add_delta(self, conversation_id: str, entries: Sequence[Entry]) -> bool:
        """Takes what Sync says of one conversation, ascending. False when the answer itself has a gap."""
        history = self.history(conversation_id)
        if entries:
            history.begin_at(entries[0].seq)
        before = history.cursor
        for entry in entries:
            history.add(entry)
        return not entries or history.cursor >= max(before, entries[-1].seq)

    def cursors(self) -> dict[str, int]:
        """What the device says in Sync: the cursor of each conversation that it knows."""
        return {history.conversation_id: history.cursor for history in self._histories.values()}

    @property
    def has_gap(self) -> bool:
        """Whether any conversation waits for a Sync."""
        return any(history.has_gap for history in self._histories.values())


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
