"""How a device stays in sync with an account of any size: one token, and cursors only where something is missing.

Pure: `stream.py` carries the requests. First `take_list` with the newest pages of the `unlisted` folders, then
`request` and `take` until there is no more; the rest of the list may follow at any time. It may break off anywhere,
and go on from there.
"""

from __future__ import annotations

from parley.messaging.v1 import messages_pb2 as messaging
from parley.messaging.v1 import service_pb2 as service

from parley_client.inbox import Inbox

FOLDERS = (service.CONVERSATION_FOLDER_UNSPECIFIED, service.CONVERSATION_FOLDER_REQUESTS)
# What a request may name.
_MAX_CURSORS = 1_000


class SyncGapError(Exception):
    """Sync, the one source of truth, left out a message: a fault of the service."""


class AccountSync:
    """What one device keeps for Sync. `limit` and `page_size` are the request's: messages, and conversations a page."""

    def __init__(self, inbox: Inbox, limit: int = 100, page_size: int = 0) -> None:
        self._inbox = inbox
        self._limit = limit
        self._page_size = page_size
        self.token = ""
        # Conversations that somebody looks at: their cursors are always named.
        self.open: set[str] = set()
        # Folders of which the newest page was not brought yet.
        self.unlisted = list(FOLDERS)
        # Where each folder's list goes on; a folder that is through is not in it.
        self.list_tokens: dict[service.ConversationFolder.ValueType, str] = {}
        # Named the next time: listed but without messages yet, or told of with a gap.
        self._wanted: dict[str, None] = {}
        self._named: list[str] = []
        self._asked = 0
        # Until the first Sync, which names all that came live before it: that may be gone again, and no token says so.
        self._is_new = True

    def take_list(
        self,
        folder: service.ConversationFolder.ValueType,
        answer: service.ListConversationsResponse,
        *,
        wants_messages: bool = True,
        asked: int | None = None,
    ) -> None:
        """Takes a page of the list; the first one's token begins everything.

        `wants_messages`: the next Sync brings the newest messages of each. `asked`: the inbox's `moment` when it was
        asked for.
        """
        self.token = self.token or answer.sync_token
        for summary in answer.conversations:
            self._inbox.take_summary(summary, is_first=wants_messages, asked=asked)
            if wants_messages:
                self._wanted[summary.conversation.conversation_id] = None
        if folder in self.unlisted:
            self.unlisted.remove(folder)
        self.list_tokens.pop(folder, None)
        if answer.next_page_token:
            self.list_tokens[folder] = answer.next_page_token

    def request(self) -> service.SyncRequest:
        """The next request."""
        conversations = self._inbox.conversations
        if self._is_new:
            self._wanted |= dict.fromkeys(history.conversation_id for history in conversations)
        self._wanted |= self._inbox.begun
        self._inbox.begun.clear()
        # One of which only messages were heard is not named, so that all of it comes.
        self._wanted = {key: None for key in self._wanted if conversations.history(key).info is not None}
        wanted = dict.fromkeys([*conversations.gaps(), *self._wanted, *sorted(self.open)])
        known = [key for key in wanted if conversations.history(key).info is not None]
        self._named = known[:_MAX_CURSORS]
        self._asked = self._inbox.moment
        places = [(key, *conversations.cursor(key)) for key in self._named]
        return service.SyncRequest(
            sync_token=self.token,
            cursors=[messaging.Cursor(conversation_id=key, seq=seq, revision=rev) for key, seq, rev in places],
            limit=self._limit,
            page_size=self._page_size,
        )

    def take(self, answer: service.SyncResponse) -> bool:
        """Takes the answer to the last request; whether another is to follow. Raises SyncGapError."""
        self._is_new = False
        for conversation_id in answer.gone_conversation_ids:
            self._inbox.conversations.forget(conversation_id)
        named = set(self._named)
        unfinished: dict[str, None] = {}
        for delta in answer.deltas:
            key = delta.conversation.conversation_id
            gapless = self._inbox.apply_delta(delta, is_named=key in named, asked=self._asked)
            if gapless is False:
                raise SyncGapError("a Sync answer has a gap")
            if gapless is None or delta.has_more:
                unfinished[key] = None
            else:
                self._wanted.pop(key, None)
        # What was named and is not told of is not behind, unless the page ended before it.
        if not answer.has_more:
            for key in self._named:
                self._wanted.pop(key, None)
        self._wanted |= unfinished
        self.token = answer.sync_token
        return answer.has_more or bool(self._wanted)

    def begin_anew(self) -> None:
        """The service does not know the token: what the device has may not be what is there."""
        self._inbox.conversations.clear()
        self.token = ""
        self._is_new = True
        self.unlisted = list(FOLDERS)
        self.list_tokens.clear()
        self._wanted.clear()
