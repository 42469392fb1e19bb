"""What a device knows of its conversations, and the proof that nothing was lost, doubled or reordered.

Pure: no clock, no network, no protobuf. `stream.py` feeds it; the demo and the load tests question it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum


@dataclass(frozen=True)
class CallRecord:
    """The record of an ended call, as the conversation shows it. `outcome` is the enum's name without its prefix."""

    call_id: str
    outcome: str
    video: bool
    length_ms: int


@dataclass(frozen=True)
class Poll:
    """A question to vote on with `Messaging.vote`. `votes`: who chose each of the options."""

    question: str
    options: tuple[str, ...]
    multiple: bool = False
    votes: tuple[tuple[str, ...], ...] = ()

    def choice(self, user_id: str) -> tuple[int, ...]:
        """The options that a person chose, by their places."""
        return tuple(index for index, voters in enumerate(self.votes) if user_id in voters)


@dataclass(frozen=True)
class Sticker:
    """A picture that a provider keeps, by its https address. Load it only from hosts that the service names
    (`Limits.sticker_hosts`), and show the description otherwise. `url` is empty in Requests."""

    url: str
    width: int
    height: int
    description: str
    provider_ref: str = ""


@dataclass(frozen=True)
class LinkPreview:
    """What is behind a link of a text, as its sender's device says; nobody has looked whether it is so. Show the host
    of `url` beside it, and fetch nothing from there."""

    url: str
    title: str
    description: str = ""
    site_name: str = ""


@dataclass(frozen=True)
class Entry:
    """One message as it stands at a revision of its conversation (0: never changed). `kind` names its content."""

    conversation_id: str
    seq: int
    message_id: str
    sender_id: str
    client_message_id: str
    text: str | None = None
    call: CallRecord | None = None
    poll: Poll | None = None
    sticker: Sticker | None = None
    # Of a text.
    preview: LinkPreview | None = None
    kind: str = "text"
    revision: int = 0
    edit_count: int = 0
    reply_to_seq: int = 0
    # (emoji, user ids)
    reactions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    # Ids, in order.
    attachments: tuple[str, ...] = ()
    # A copy of another message.
    forwarded: bool = False
    # Each recipient opens its file once (`Messaging.open_once`), and who did, the first one first.
    view_once: bool = False
    opened_by: tuple[str, ...] = ()
    # When it vanishes, Unix time; None when it stays.
    expires_at_s: float | None = None

    def as_of(self, now_s: float) -> Entry:
        """As it is shown then: devices hide by themselves what vanishes, without waiting for a word of the service."""
        is_over = self.expires_at_s is not None and self.expires_at_s <= now_s
        if not is_over or self.kind not in COUNTED:
            return self
        bare = replace(self, edit_count=0, reply_to_seq=0, reactions=(), attachments=(), forwarded=False)
        bare = replace(bare, view_once=False, opened_by=())
        return replace(bare, kind="expired", text=None, call=None, poll=None, sticker=None, preview=None)


# What counts as unread, and vanishes.
COUNTED = ("text", "voice", "poll", "sticker", "call")
# What is left of a message that was taken back, or whose time was over.
GONE = ("unsent", "expired")


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


@dataclass(frozen=True)
class Delta:
    """What Sync says of one conversation, of one moment: new entries by seq, changed ones by revision.

    `revision`: up to where the device has all changes then. `last_seq`: the conversation's newest message.
    """

    info: ConversationInfo
    entries: tuple[Entry, ...] = ()
    changed: tuple[Entry, ...] = ()
    revision: int = 0
    last_seq: int = 0


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


class Conversations:
    """All conversations of one device, by id."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}

    def __contains__(self, conversation_id: str) -> bool:
        return conversation_id in self._histories

    def __iter__(self) -> Iterator[History]:
        return iter(self._histories.values())

    def history(self, conversation_id: str) -> History:
        """The conversation as it stands; an empty one when the device knows nothing of it. Ask anew each time."""
        return self._histories.get(conversation_id) or History(conversation_id)

    def begin(self, conversation_id: str) -> History:
        """The conversation, begun empty when it is new to the device."""
        return self._histories.setdefault(conversation_id, History(conversation_id))

    def add(self, entry: Entry) -> Arrival:
        """Takes one live message, new or changed."""
        history = self.begin(entry.conversation_id)
        arrival = history.add(entry)
        history.end_pin(entry)
        history.hear_revision(entry.revision)
        return Arrival.GAP if history.needs_sync else arrival

    def take_info(self, info: ConversationInfo, me: str) -> Arrival:
        """Takes one live event of a conversation. The conversation is forgotten when I am not in it."""
        if me not in dict(info.roles):
            self.forget(info.conversation_id)
            return Arrival.SHOWN
        is_new = info.conversation_id not in self
        history = self.begin(info.conversation_id)
        history.take_info(info)
        if is_new:
            history.revision = info.revision
        history.hear_revision(info.revision)
        return Arrival.GAP if history.missed else Arrival.SHOWN

    def forget(self, conversation_id: str) -> None:
        """Drops a conversation that one is not in (any more)."""
        self._histories.pop(conversation_id, None)

    def clear(self) -> None:
        """Forgets everything."""
        self._histories.clear()

    def add_delta(self, delta: Delta) -> bool:
        """Takes what Sync says of one conversation. False when the answer itself has a gap."""
        early = self._take_unknown(delta.info.conversation_id)
        history = self.begin(delta.info.conversation_id)
        # Copies that came live and wait behind a gap may have changed meanwhile; later pages bring them as they are.
        # First of all: the conversation's info may move the beginning up to one of them, which would then stand before
        # the page. A change that is newer than this answer is in no page of it, and stays.
        live = [*early, *history.held_back.values()]
        history.drop_held_back(delta.last_seq)
        history.take_info(delta.info)
        if delta.entries:
            history.begin_at(delta.entries[0].seq)
        before = history.cursor
        newer = (entry for entry in live if entry.seq > delta.last_seq or entry.revision > delta.revision)
        for entry in (*delta.entries, *delta.changed, *newer):
            history.add(entry)
        history.revision = max(delta.revision, history.revision)
        history.missed = history.is_listed = False
        return not delta.entries or history.cursor >= max(before, delta.entries[-1].seq)

    def add_info(self, info: ConversationInfo) -> bool:
        """Takes what the list says of a conversation that is new to the device. False when it was known already."""
        known = self._histories.get(info.conversation_id)
        if known is not None and known.info is not None:
            return False
        history = self.begin(info.conversation_id)
        history.take_info(info)
        history.revision = max(info.revision, history.revision)
        history.is_listed = True
        return True

    def cursor(self, conversation_id: str) -> tuple[int, int]:
        """What the device says in Sync of a conversation: (seq, revision).

        Seq 0 of one that was only listed, so that Sync answers with the newest page.
        """
        history = self.history(conversation_id)
        return (0 if history.is_listed and not history.shown else history.cursor, history.revision)

    def is_continued_by(self, delta: Delta) -> bool:
        """Whether a delta that is made without a cursor leaves no gap behind what the device has."""
        history = self.history(delta.info.conversation_id)
        if history.info is None or not history.shown:
            return True
        first_seq = delta.entries[0].seq if delta.entries else delta.last_seq + 1
        return first_seq <= history.cursor + 1 and delta.info.revision <= history.revision and not history.missed

    def gaps(self) -> list[str]:
        """The known conversations in which something is missing."""
        return [history.conversation_id for history in self if history.info is not None and history.has_gap]

    def unknown(self) -> list[str]:
        """The conversations of which only messages were heard."""
        return [history.conversation_id for history in self._histories.values() if history.info is None]

    def forget_unknown(self, conversation_ids: Iterable[str]) -> None:
        """After a whole Sync: drops those that were unknown before it and still are."""
        for conversation_id in set(conversation_ids) & set(self.unknown()):
            self.forget(conversation_id)

    def _take_unknown(self, conversation_id: str) -> list[Entry]:
        """The messages of a conversation of which nothing else is known; it begins anew."""
        history = self._histories.get(conversation_id)
        if history is None or history.info is not None:
            return []
        del self._histories[conversation_id]
        return [*history.shown, *history.held_back.values()]

    @property
    def has_gap(self) -> bool:
        """Whether any conversation waits for a Sync."""
        return any(history.needs_sync for history in self._histories.values())
