"""Sync, the list of conversations and the search, in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.messaging.kernel.content import text_of
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    Cursor,
    Delta,
    Message,
    MessageId,
    PageMark,
    Summary,
    UserId,
)
from services.messaging.kernel.request import RequestState
from services.messaging.search.core import NO_FILTERS, Filters, Has, matches, passes, words_of
from services.messaging.sync.core.account import (
    AccountPage,
    Mark,
    Snapshot,
    Step,
    SyncToken,
    begin_walk,
)
from services.messaging.sync.core.deltas import build_delta
from tests.support.messaging_state import MemoryState


class MemorySync(MemoryState):
    """See services.messaging: sync.ports.SyncStore and search.ports.SearchStore."""

    async def list_conversations(
        self,
        user_id: UserId,
        below: PageMark | None,
        limit: int,
        now: datetime,
        request: RequestState = RequestState.ACCEPTED,
    ) -> Sequence[Summary]:
        marks = [(self._active[id_], id_) for id_ in self._of(user_id) if self._request(id_, user_id) is request]
        if below:
            marks = [mark for mark in marks if mark < (below.active_at, below.conversation_id)]
        rows = []
        for active_at, id_ in sorted(marks, reverse=True)[:limit]:
            last = await self.list_messages(id_, self._visible_after(id_, user_id), None, 1)
            own = self._own_state(id_, user_id, now)
            rows.append(Summary(self._conversations[id_], last[0] if last else None, active_at, own))
        return rows

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, Cursor],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
        now: datetime,
    ) -> Sequence[Delta]:
        news, moved_only = [], []
        shown = [id_ for id_ in self._of(user_id) if self._request(id_, user_id) is not RequestState.DECLINED]
        for id_ in sorted(shown, key=lambda id_: (self._active[id_], id_)):
            conversation, cursor = self._conversations[id_], cursors.get(id_)
            delta = self._delta(conversation, user_id, cursor, limit, now)
            moves = (self._read_moved.get(id_), self._own_moved.get((user_id, id_)))
            if cursor is None or conversation.last_seq > cursor.seq or conversation.revision > cursor.revision:
                news.append(delta)
            elif read_since is not None and any(moved is not None and moved >= read_since for moved in moves):
                moved_only.append(delta)
        return [*news, *moved_only] if len(news) < max_deltas else news[:max_deltas]

    async def snapshot(self) -> Snapshot:
        self._look()
        return self.positions.snapshot()

    async def sync_account(
        self,
        user_id: UserId,
        token: SyncToken | None,
        cursors: Mapping[ConversationId, Cursor],
        limit: int,
        max_conversations: int,
        now: datetime,
    ) -> AccountPage:
        self._look()
        snapshot = self.positions.snapshot()
        walking = begin_walk(token, snapshot)
        gone = [id_ for id_ in cursors if self.positions.is_gone((user_id, id_))]
        behind = sorted(
            (id_ for id_ in cursors if id_ not in gone and _is_behind(self._conversations[id_], cursors[id_])),
            key=lambda id_: (self._active[id_], id_),
        )
        named = [self._delta(self._conversations[id_], user_id, cursors[id_], limit, now) for id_ in behind]
        space = max_conversations - len(behind)
        found = self._walked(user_id, walking, cursors) if space > 0 else []
        steps = [
            Step(mark)
            if mark.conversation_id in behind
            else self._step(user_id, mark, cursors.get(mark.conversation_id), limit, now)
            for mark in found[: max(space, 0)]
        ]
        return AccountPage(
            walking,
            snapshot.oldest_running,
            named[:max_conversations],
            gone,
            len(behind) > max_conversations,
            steps,
            space <= 0 or len(found) > space,
        )

    async def has_more_conversations_than(self, user_id: UserId, most: int) -> bool:
        return sum(self._request(id_, user_id) is not RequestState.DECLINED for id_ in self._of(user_id)) > most

    async def joined_of(
        self, user_id: UserId, conversation_ids: Collection[ConversationId]
    ) -> Collection[ConversationId]:
        return {
            id_
            for id_ in conversation_ids
            if self._is_member(id_, user_id) and self._request(id_, user_id) is not RequestState.DECLINED
        }

    async def index_words(self, keys: Sequence[tuple[ConversationId, int]]) -> None:
        self._indexed |= set(keys)

    async def index_old(self, limit: int) -> int:
        # The words are made when they are asked for.
        return 0

    async def search(
        self,
        user_id: UserId,
        query: str,
        within: ConversationId | None,
        below: MessageId | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> Sequence[Message]:
        found = [
            message
            for id_ in self._of(user_id)
            for message in self._messages[id_]
            if (within == id_ or (within is None and self._request(id_, user_id) is RequestState.ACCEPTED))
            and (id_, message.seq) in self._indexed
            and message.seq > self._visible_after(id_, user_id)
            and (below is None or message.id < below)
            and matches(words_of(text_of(message.content)), query)
            and passes(message, filters)
        ]
        return sorted(found, key=lambda message: message.id, reverse=True)[:limit]

    async def list_holding(
        self,
        user_id: UserId,
        within: ConversationId,
        has: Has,
        before_seq: int | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> Sequence[Message]:
        found = [
            message
            for message in reversed(self._messages[within])
            if self._is_member(within, user_id)
            and message.seq > self._visible_after(within, user_id)
            and (before_seq is None or message.seq < before_seq)
            and passes(message, replace(filters, has=frozenset({has})))
        ]
        return found[:limit]

    def _walked(self, user_id: UserId, walking: SyncToken, cursors: Mapping[ConversationId, Cursor]) -> list[Mark]:
        positions, begun_at = self.positions, walking.begun_at
        found = {
            Mark(position, id_)
            for (user, id_), position in positions.changed.items()
            if user == user_id and not (position < begun_at and positions.is_gone((user, id_)))
        }
        moves = [(id_, position) for (user, id_), position in positions.moved.items() if user == user_id]
        moves += [(id_, position) for id_, position in positions.moved_large.items() if id_ in cursors]
        found |= {Mark(position, id_) for id_, position in moves if position >= begun_at}
        return sorted(mark for mark in found if walking.mark < mark)

    def _step(self, user_id: UserId, mark: Mark, cursor: Cursor | None, limit: int, now: datetime) -> Step:
        id_ = mark.conversation_id
        if self.positions.is_gone((user_id, id_)):
            return Step(mark, gone=True)
        return Step(mark, self._delta(self._conversations[id_], user_id, cursor, limit, now))

    def _look(self) -> None:
        conversations = self._conversations.values()
        own = {
            (member.user_id, conversation.id): (
                self._own.get((member.user_id, conversation.id)),
                self._own_read.get((member.user_id, conversation.id)),
                member.read_seq,
                member.request,
            )
            for conversation in conversations
            for member in conversation.members
        }
        self.positions.look(conversations, own)

    def _delta(
        self, conversation: Conversation, user_id: UserId, cursor: Cursor | None, limit: int, now: datetime
    ) -> Delta:
        visible_after = self._visible_after(conversation.id, user_id)
        known_seq = cursor.seq if cursor else 0
        start = max(visible_after, known_seq or conversation.last_seq - limit)
        messages = self._messages[conversation.id]
        new = [message for message in messages if message.seq > start]
        revision = cursor.revision if cursor else conversation.revision
        changed = [m for m in messages if m.revision > revision and visible_after < m.seq <= known_seq]
        changed.sort(key=lambda message: message.revision)
        own = self._own_state(conversation.id, user_id, now)
        return build_delta(conversation, cursor, new[: limit + 1], changed[: limit + 1], own, limit)


def _is_behind(conversation: Conversation, cursor: Cursor) -> bool:
    return conversation.last_seq > cursor.seq or conversation.revision > cursor.revision
