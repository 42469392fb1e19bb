"""Conversations, as use-cases."""

from dataclasses import dataclass

from services.messaging.conversations.ports import ConversationStore
from services.messaging.kernel import checks, model
from services.messaging.kernel.errors import ConversationNotFound
from services.messaging.kernel.model import Conversation, ConversationId, UserId, require_member
from services.messaging.kernel.own_state import OwnChange, OwnState
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.quotas import day_quota
from services.messaging.kernel.withholding import shown_to
from services.runtime.clock import Clock
from services.runtime.ids import NewId


@dataclass(frozen=True)
class ConversationLimits:
    """What is configured. The service sets all of it from config.py; the defaults are for tests."""

    # Raising it lets a spammer reach more people; lowering it refuses busy people.
    new_conversations_per_day: int = 500
    # As above, of those who have to let the conversation in; reports lower it.
    requests_per_day: int = 100


class Conversations:
    """`user_id` is always the authenticated caller."""

    def __init__(self, store: ConversationStore, clock: Clock, new_id: NewId, limits: ConversationLimits) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._limits = limits

    async def open_direct(self, user_id: UserId, peer: str) -> Conversation:
        """The one conversation of the pair. Idempotent. Errors: InvalidField, NotAllowed, ConversationQuota,
        RequestQuota."""
        now = self._clock.now()
        peer_id = checks.check_user_id("peer_user_id", peer)
        fresh = model.open_direct(ConversationId(self._new_id(now)), user_id, peer_id, now)
        quota = day_quota(user_id, self._limits.new_conversations_per_day, now, self._limits.requests_per_day)
        return await self._store.open_direct(fresh, user_id, quota)

    async def get_conversation(self, user_id: UserId, conversation_id: str) -> Conversation:
        """Errors: InvalidField, ConversationNotFound."""
        return shown_to(await readable(self._store, user_id, conversation_id), user_id)

    async def update_own_state(self, user_id: UserId, conversation_id: str, change: OwnChange) -> OwnState:
        """Pin, archive, mute or mark for the caller alone. Idempotent. Errors: InvalidField, ConversationNotFound."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        state = await self._store.change_own_state(target, user_id, change, self._clock.now())
        if state is None:
            raise ConversationNotFound
        return state


async def readable(conversations: ConversationReader, user_id: UserId, conversation_id: str) -> Conversation:
    """The conversation, if the user is in it. Errors: InvalidField, ConversationNotFound."""
    target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
    return require_member(await conversations.find_conversation(target), user_id)
