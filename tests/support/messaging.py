"""A store of messaging in memory, held to the same contract as PostgreSQL's."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.messaging.core import (
    Conversation,
    ConversationId,
    Delta,
    Draft,
    DraftKey,
    Message,
    MessagingError,
    PageMark,
    UserId,
    pair_key,
    place_drafts,
    with_read_cursor,
)


class FakeStore:
    """See services.messaging.ports.Store."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.commits_begun = 0
        # Held to make sends wait for their commit.
        self.gate = asyncio.Event()
        self.gate.set()
        self._conversations: dict[ConversationId, Conversation] = {}
        self._pairs: dict[str, ConversationId] = {}
        self._messages: dict[ConversationId, list[Message]] = {}
        self._active: dict[ConversationId, datetime] = {}
        self._read_moved: dict[ConversationId, datetime] = {}

    async def open_direct(self, conversation: Conversation) -> Conversation:
        key = pair_key(conversation.members[0].user_id, conversation.members[1].user_id)
        if key not in self._pairs:
            self._pairs[key] = conversation.id
            self._conversations[conversation.id] = conversation
            self._messages[conversation.id] = []
            self._active[conversation.id] = conversation.created_at
        return self._conversations[self._pairs[key]]

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        return self._conversations.get(conversation_id)

    async def list_conversations(
        self, user_id: UserId, below: PageMark | None, limit: int
    ) -> Sequence[tuple[Conversation, Message | None, datetime]]:
        marks = [(self._active[id_], id_) for id_ in self._of(user_id)]
        if below:
            marks = [mark for mark in marks if mark < (below.active_at, below.conversation_id)]
        rows = sorted(marks, reverse=True)[:limit]
        return [
            (self._conversations[id_], self._messages[id_][-1] if self._messages[id_] else None, active_at)
            for active_at, id_ in rows
        ]

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        self.commits_begun += 1
        await self.gate.wait()
        self.batches.append(len(drafts))
        ids = {draft.conversation_id for draft in drafts} & self._conversations.keys()
        stored = {
            DraftKey(message.conversation_id, message.sender_id, message.client_message_id): message
            for id_ in ids
            for message in self._messages[id_]
        }
        last_seqs = {id_: self._conversations[id_].last_seq for id_ in ids}
        placement = place_drafts(drafts, last_seqs, self._is_member, stored)
        for message in placement.inserted:
            id_ = message.conversation_id
            self._messages[id_].append(message)
            self._active[id_] = max(self._active[id_], message.sent_at)
            self._conversations[id_] = replace(self._conversations[id_], last_seq=message.seq)
        return placement.outcomes

    async def list_messages(
        self, conversation_id: ConversationId, before_seq: int | None, limit: int
    ) -> Sequence[Message]:
        messages = self._messages.get(conversation_id, [])
        return [m for m in reversed(messages) if before_seq is None or m.seq < before_seq][:limit]

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, int],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
    ) -> Sequence[Delta]:
        deltas = []
        for id_ in sorted(self._of(user_id), key=lambda id_: (self._active[id_], id_)):
            conversation, moved = self._conversations[id_], self._read_moved.get(id_)
            read_news = read_since is not None and moved is not None and moved >= read_since
            if id_ not in cursors or conversation.last_seq > cursors[id_] or read_news:
                deltas.append(self._delta(conversation, cursors.get(id_, 0), limit))
        return deltas[:max_deltas]

    async def move_read_cursor(
        self, conversation_id: ConversationId, user_id: UserId, seq: int, now: datetime
    ) -> int | None:
        if not self._is_member(conversation_id, user_id):
            return None
        conversation = self._conversations[conversation_id]
        before = _read_seq(conversation, user_id)
        moved = with_read_cursor(conversation, user_id, min(seq, conversation.last_seq))
        self._conversations[conversation_id] = moved
        if _read_seq(moved, user_id) > before:
            self._read_moved[conversation_id] = now
        return _read_seq(moved, user_id)

    async def members_of(
        self, conversation_ids: Collection[ConversationId]
    ) -> Mapping[ConversationId, Sequence[UserId]]:
        return {
            id_: [member.user_id for member in self._conversations[id_].members]
            for id_ in conversation_ids
            if id_ in self._conversations
        }

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        known = {m.user_id for id_ in self._of(user_id) for m in self._conversations[id_].members} - {user_id}
        return [candidate for candidate in candidates if candidate in known]

    def _of(self, user_id: UserId) -> list[ConversationId]:
        return [id_ for id_ in self._conversations if self._is_member(id_, user_id)]

    def _is_member(self, conversation_id: ConversationId, user_id: UserId) -> bool:
        conversation = self._conversations.get(conversation_id)
        return conversation is not None and any(member.user_id == user_id for member in conversation.members)

    def _delta(self, conversation: Conversation, cursor: int, limit: int) -> Delta:
        start = cursor if cursor > 0 else max(0, conversation.last_seq - limit)
        messages = [message for message in self._messages[conversation.id] if message.seq > start]
        return Delta(conversation, tuple(messages[:limit]), len(messages) > limit)


def _read_seq(conversation: Conversation, user_id: UserId) -> int:
    return next(member.read_seq for member in conversation.members if member.user_id == user_id)
