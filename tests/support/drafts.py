"""Drafts in memory."""

from collections.abc import Sequence
from datetime import datetime

from services.messaging.drafts import core
from services.messaging.drafts.core import KeptDraft, WantedDraft
from services.messaging.kernel.errors import ConversationNotFound, TooManyDrafts
from services.messaging.kernel.model import ConversationId, UserId
from tests.support.messaging_memory import MemoryStore


class MemoryDrafts:
    """See drafts.ports.DraftStore, beside a store of messages in memory. `told`: what devices were told, in order."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._kept: dict[tuple[UserId, ConversationId], KeptDraft] = {}
        self.told: list[KeptDraft] = []

    async def write(
        self, user_id: UserId, conversation_id: ConversationId, wanted: WantedDraft, now: datetime, most: int
    ) -> KeptDraft:
        conversation = await self._store.find_conversation(conversation_id)
        if conversation is None or conversation.member(user_id) is None:
            raise ConversationNotFound
        place = (user_id, conversation_id)
        before = self._kept.get(place)
        after = core.write(before, place, wanted, now, conversation.vanish_after or None)
        if after is None:
            return before if before and not core.is_over(before, now) else core.none_of(place, now)
        own = [key for key in self._kept if key[0] == user_id]
        if after.text and before is None and len(own) >= most:
            raise TooManyDrafts
        self._kept.pop(place, None)
        if after.text:
            self._kept[place] = after
        self.told.append(after)
        return after

    async def list_of(
        self, user_id: UserId, after: ConversationId | None, limit: int, now: datetime
    ) -> Sequence[KeptDraft]:
        found = []
        for (owner, conversation_id), draft in sorted(self._kept.items()):
            conversation = await self._store.find_conversation(conversation_id)
            is_in = conversation is not None and conversation.member(owner) is not None
            if owner == user_id and is_in and not core.is_over(draft, now) and (not after or conversation_id > after):
                found.append(draft)
        return found[:limit]

    async def sweep(self, now: datetime, limit: int) -> int:
        over = [place for place, draft in self._kept.items() if core.is_over(draft, now)][:limit]
        for place in over:
            del self._kept[place]
        return len(over)
