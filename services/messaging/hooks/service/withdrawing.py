"""What people take back before anybody has reviewed it."""

from services.messaging.hooks.core.holding import edit_key
from services.messaging.hooks.ports import HeldStore
from services.messaging.kernel import checks
from services.messaging.kernel.model import ConversationId, DraftKey, UserId
from services.runtime.clock import Clock


class Withdrawals:
    """`user_id` is always the authenticated caller. Errors of each: InvalidField, HeldNotFound, HeldDecided,
    StoreUnavailable."""

    def __init__(self, store: HeldStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def message(self, user_id: UserId, conversation_id: str, client_message_id: str) -> None:
        """Take back a message of one's own that is held. Idempotent."""
        await self._withdraw(user_id, conversation_id, checks.check_client_id("client_message_id", client_message_id))

    async def edit(self, user_id: UserId, conversation_id: str, seq: int) -> None:
        """Take back a new text of one's own that is held; the one before stands. Idempotent."""
        await self._withdraw(user_id, conversation_id, edit_key(checks.check_seq("seq", seq)))

    async def _withdraw(self, user_id: UserId, conversation_id: str, held_under: str) -> None:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        await self._store.withdraw(DraftKey(target, user_id, held_under), self._clock.now())
