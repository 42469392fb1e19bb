"""One conversation on one device, and the proof that nothing of it was lost, doubled or reordered.

Pure: no clock, no network, no protobuf.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from parley_client.entries import COUNTED, GONE, Entry


@dataclass(frozen=True)
class ConversationInfo:
    """What a device knows of a conversation beside its messages. `roles` is by user id."""

    conversation_id: str
    revision: int = 0
    title: str = ""
    history_open: bool = False
    add_audience: int = 0
    roles: tuple[tuple[str, int], ...] = ()
    # One's own: what was said up to it is not to be seen, or is deleted by now.
    visible_after_seq: int = 0
    vanish_after_s: int = 0
    # Seqs of the messages that all members keep in view, the latest pinned first. Ask `History.pinned`.
    pinned: tuple[int, ...] = ()


class Arrival(Enum):
    """What became of a message that arrived."""

    SHOWN = "shown"
    # A newer copy of what was had: an edit, a reaction, a vote, an unsending.
    CHANGED = "changed"
    # Had already: at-least-once delivery, or a live copy of what Sync brought.
    DUPLICATE = "duplicate"
    # Later messages or changes came before earlier ones: Sync must fill the gap.
    GAP = "gap"
    # Another message under a seq or id that is taken: the one thing that must never be.
    CONFLICT = "conflict"


@dataclass
class History:
    """One conversation on one device. `shown` is gapless and ascending from `base + 1` on.

    `base` is above 0 when the device began with the newest page only. `read_seq` and `delivered_seq` are what the
    people let each other know, by user id; one's own cursor is `own_read_seq`.
    """

    conversation_id: str
    base: int = 0
    shown: list[Entry] = field(default_factory=list)
    held_back: dict[int, Entry] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    read_seq: dict[str, int] = field(default_factory=dict)
    delivered_seq: dict[str, int] = field(default_factory=dict)
    own_read_seq: int = 0
    info: ConversationInfo | None = None
    # The device has all changes up to this one; `missed` is set once a later one was heard of.
    revision: int = 0
    missed: bool = False
    # Known from the list alone: Sync has brought none of its messages yet.
    is_listed: bool = False
    duplicates: int = 0
    conflicts: list[str] = field(default_factory=list)
    _seq_by_message_id: dict[str, int] = field(default_factory=dict)

    @property
    def cursor(self) -> int:
        """The highest seq up to which the device has everything."""
        return self.base + len(self.shown)

    @property
    def has_gap(self) -> bool:
        """Whether a message or a change waits for earlier ones."""
        return bool(self.held_back) or self.missed

    @property
    def needs_sync(self) -> bool:
        """Whether there is a gap, or the conversation itself is not known yet."""
        return self.has_gap or self.info is None

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
            return self._newer_same_or_conflict(known, entry)
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

    def read_anew(self) -> None:
        """Forgets the messages, which the next Sync brings again: those that came while the conversation waited in
        Requests lack files and links, and no revision says that they may be seen now.
        """
        self.shown, self.held_back, self._seq_by_message_id = [], {}, {}
        self.base = self.info.visible_after_seq if self.info else 0
        self.is_listed = self.missed = True

    def hide_through(self, seq: int) -> None:
        """Forgets what one may not see (any more): all messages up to this seq."""
        if seq > self.base:
            self.shown = self.shown[seq - self.base :] if seq < self.cursor else []
            self.held_back = {key: entry for key, entry in self.held_back.items() if key > seq}
            self.base = seq
            self._show_what_follows()

    def drop_held_back(self, last_seq: int) -> None:
        """Forgets the messages up to this seq that wait behind a gap."""
        for seq in [seq for seq in self.held_back if seq <= last_seq]:
            self._seq_by_message_id.pop(self.held_back.pop(seq).message_id, None)

    def hear_revision(self, revision: int) -> None:
        """Notes the revision of a live event: the next one, an old one, or one that says that others were missed."""
        if revision == self.revision + 1:
            self.revision = revision
        elif revision > self.revision:
            self.missed = True

    def take_info(self, info: ConversationInfo) -> None:
        """Takes what is known of the conversation; of two, the higher revision is newer."""
        if self.info is None or info.revision >= self.info.revision:
            self.info = info
            self.members = tuple(user_id for user_id, _ in info.roles)
            self.hide_through(info.visible_after_seq)

    def pinned(self, now_s: float) -> tuple[int, ...]:
        """Seqs of the pinned messages that one may see and that stand, the latest pinned first. Those that are not on
        this device are among them."""
        if self.info is None:
            return ()
        entries = ((seq, self.entry(seq)) for seq in self.info.pinned if seq > self.info.visible_after_seq)
        return tuple(seq for seq, entry in entries if entry is None or entry.as_of(now_s).kind in COUNTED)

    def end_pin(self, entry: Entry) -> None:
        """Takes a pin away whose message is gone. The revision keeps an older word of the conversation from bringing it
        back."""
        if self.info and entry.seq in self.info.pinned and entry.kind in GONE:
            left = tuple(seq for seq in self.info.pinned if seq != entry.seq)
            self.info = replace(self.info, pinned=left, revision=max(self.info.revision, entry.revision))

    def move_cursors(self, user_id: str, read_seq: int, delivered_seq: int) -> None:
        """What others read and got only moves forward; a late event changes nothing. What was read was delivered."""
        self.read_seq[user_id] = max(read_seq, self.read_seq.get(user_id, 0))
        self.delivered_seq[user_id] = max(read_seq, delivered_seq, self.delivered_seq.get(user_id, 0))

    def move_own_read(self, read_seq: int) -> None:
        """One's own read cursor, of whatever device of one's own."""
        self.own_read_seq = max(read_seq, self.own_read_seq)

    def unread(self, me: str, now_s: float) -> int:
        """What others wrote above one's own cursor and that stands, of what is on this device."""
        entries = (entry.as_of(now_s) for entry in self.shown if entry.seq > self.own_read_seq)
        return sum(entry.kind in COUNTED and entry.sender_id != me for entry in entries)

    def _newer_same_or_conflict(self, known: Entry, entry: Entry) -> Arrival:
        if known.message_id != entry.message_id:
            self.conflicts.append(f"seq {entry.seq} is both message {known.message_id} and {entry.message_id}")
            return Arrival.CONFLICT
        if entry.revision > known.revision:
            self._replace(entry)
            return Arrival.CHANGED
        if entry.revision == known.revision and _is_end(known, entry):
            self._replace(entry)
            return Arrival.CHANGED
        if entry.revision == known.revision and entry != known and not _is_end(entry, known):
            self.conflicts.append(f"message {entry.message_id} has two contents at revision {entry.revision}")
            return Arrival.CONFLICT
        self.duplicates += 1
        return Arrival.DUPLICATE

    def _replace(self, entry: Entry) -> None:
        if self.base < entry.seq <= self.cursor:
            self.shown[entry.seq - self.base - 1] = entry
        else:
            self.held_back[entry.seq] = entry

    def _show_what_follows(self) -> None:
        while (entry := self.held_back.pop(self.cursor + 1, None)) is not None:
            self.shown.append(entry)


def _is_end(before: Entry, after: Entry) -> bool:
    """Whether one copy is the other after its time: the service hides what is over before it counts a revision."""
    return before.expires_at_s is not None and before != after and before.as_of(before.expires_at_s) == after
