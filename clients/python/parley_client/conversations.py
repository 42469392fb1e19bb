"""All conversations of one device: what live events and Sync make of them.

Pure: no clock, no network, no protobuf. `stream.py` feeds it; the demo and the load tests question it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from parley_client.entries import COUNTED, GONE, CallRecord, Entry, LinkPreview, Poll, Sticker, Voice
from parley_client.history import Arrival, ConversationInfo, History

# Programs may import from here what a conversation is made of, too.
__all__ = [
    "COUNTED",
    "GONE",
    "Arrival",
    "CallRecord",
    "ConversationInfo",
    "Conversations",
    "Delta",
    "Entry",
    "History",
    "LinkPreview",
    "Poll",
    "Sticker",
    "Voice",
]


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


class Conversations:
    """All conversations of one device, by id."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}
        # Those that one was told to be out of, and the revision of that word. Older ones may come after it: by Sync,
        # whose answer was on its way, or by the other of the stream's two ways.
        self._left: dict[str, int] = {}

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
        if self._is_void(info):
            return Arrival.SHOWN
        if me not in dict(info.roles):
            known = self.history(info.conversation_id).info
            # Older than what Sync told meanwhile: I have come back since.
            if known is None or info.revision >= known.revision:
                self.forget(info.conversation_id)
                self._left[info.conversation_id] = info.revision
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
        self._left.clear()

    def add_delta(self, delta: Delta) -> bool:
        """Takes what Sync says of one conversation. False when the answer itself has a gap."""
        if self._is_void(delta.info):
            return True
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
        if (known is not None and known.info is not None) or self._is_void(info):
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

    def _is_void(self, info: ConversationInfo) -> bool:
        """Whether this is of before one was out of the conversation. What is newer says that one is in it again."""
        if info.revision <= self._left.get(info.conversation_id, -1):
            return True
        self._left.pop(info.conversation_id, None)
        return False

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
