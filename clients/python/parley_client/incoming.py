"""What others wrote and this user has not read, one message at a time: the loop of a bot."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from parley_client.asking import Failure
from parley_client.entries import COUNTED, Entry
from parley_client.history import History
from parley_client.inbox import Inbox
from parley_client.messaging import Messaging
from parley_client.stream import EventStream

# Messages in a request for older ones. Raising it: fewer requests, and longer answers; the service gives at most 200.
_PAGE = 100


@dataclass(frozen=True)
class HandOut:
    """These are next; then all up to `through` is done."""

    entries: tuple[Entry, ...]
    through: int


@dataclass(frozen=True)
class Fetch:
    """Messages that are not on this device are next: those above `above`, up to `through`."""

    above: int
    through: int


@dataclass(frozen=True)
class Load:
    """The device knows of the conversation alone, and has to bring its newest messages first."""


Step = HandOut | Fetch | Load | None


def next_step(history: History, unread_count: int, done: int, me: str, now_s: float) -> Step:
    """What to do next for a conversation of which all messages up to `done` were handed out.

    `unread_count`: as the service told it when it told the conversation; 0 says that what is not here was read.
    """
    info = history.info
    if info is None:
        # Sync is about to tell it.
        return None
    if history.is_listed and not history.shown:
        return Load() if unread_count else None
    above = max(done, history.own_read_seq, info.visible_after_seq)
    if history.base > above and unread_count:
        return Fetch(above, min(above + _PAGE, history.base))
    if history.cursor <= done:
        return None
    return HandOut(to_be_told(history.shown, above, me, now_s), history.cursor)


def to_be_told(entries: list[Entry], above: int, me: str, now_s: float) -> tuple[Entry, ...]:
    """Of these, what others said above a seq, and that stands."""
    shown = (entry.as_of(now_s) for entry in entries if entry.seq > above and entry.sender_id != me)
    return tuple(entry for entry in shown if entry.kind in COUNTED)


class Incoming:
    """The messages of others above this user's read cursors, each once, in the order of its conversation.

    A message is done when the next one is asked for, and is marked read then: a program that is killed before gets it
    again when it is started anew, and two that run for one user share the work badly. So answer under a
    `client_message_id` that is made of the message's id.
    """

    def __init__(self, messaging: Messaging, stream: EventStream, clock: Callable[[], float] = time.time) -> None:
        self.marks_read = True
        self._messaging = messaging
        self._stream = stream
        self._clock = clock
        self._is_begun = False
        self._queue: deque[Entry] = deque()
        self._handed: Entry | None = None
        self._done: dict[str, int] = {}
        # Read cursors that could not be moved: the next message of the conversation moves them too.
        self._unmarked: dict[str, int] = {}

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry:
        """Waits for the next one. Raises StreamEndedError, and Failure when history cannot be read."""
        if not self._is_begun:
            await self._messaging.load_all()
            self._inbox.touched |= {history.conversation_id: None for history in self._inbox.conversations}
            self._is_begun = True
        await self._finish()
        while not self._queue:
            await self._stream.until_without_deadline(lambda: bool(self._inbox.touched))
            await self._look_at(next(iter(self._inbox.touched)))
        self._handed = self._queue.popleft()
        return self._handed

    @property
    def _inbox(self) -> Inbox:
        return self._stream.inbox

    async def _finish(self) -> None:
        """What was handed out last has been handled."""
        entry, self._handed = self._handed, None
        if entry is None:
            return
        self._done[entry.conversation_id] = max(entry.seq, self._done.get(entry.conversation_id, 0))
        if self.marks_read:
            self._unmarked[entry.conversation_id] = entry.seq
            for conversation_id, seq in list(self._unmarked.items()):
                await self._mark_read(conversation_id, seq)

    async def _mark_read(self, conversation_id: str, seq: int) -> None:
        try:
            await self._messaging.mark_read(conversation_id, seq)
        except Failure as failure:
            if failure.is_transient:
                return
            if failure.reason != "CONVERSATION_NOT_FOUND":
                raise
            # This user has left it.
        del self._unmarked[conversation_id]

    async def _look_at(self, conversation_id: str) -> None:
        """Queues what is next of a conversation, and takes it off the list of those to look at once nothing is."""
        history = self._inbox.conversations.history(conversation_id)
        own = self._inbox.own_states.get(conversation_id)
        me, done, now_s = self._inbox.me, self._done.get(conversation_id, 0), self._clock()
        match next_step(history, own.unread_count if own else 0, done, me, now_s):
            case None:
                self._inbox.touched.pop(conversation_id, None)
            case Load():
                self._inbox.touched.pop(conversation_id, None)
                self._stream.load_messages(conversation_id)
            case Fetch(above, through):
                await self._fetch(conversation_id, above, through)
            case HandOut(entries, through):
                self._queue.extend(entries)
                self._done[conversation_id] = through

    async def _fetch(self, conversation_id: str, above: int, through: int) -> None:
        # An answer may hold fewer than asked for where they are long; it is the newest of them that it holds.
        entries: list[Entry] = []
        before, has_more = through + 1, True
        while has_more and before > above + 1:
            size = min(_PAGE, before - above - 1)
            page, has_more = await self._messaging.list_messages(conversation_id, before_seq=before, page_size=size)
            entries = [*page, *entries]
            before = page[0].seq if page else 0
        self._queue.extend(to_be_told(entries, above, self._inbox.me, self._clock()))
        self._done[conversation_id] = through
