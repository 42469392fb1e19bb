"""What conversations need of the world."""

from datetime import datetime
from typing import Protocol

from services.messaging.kernel.model import Conversation, ConversationId, UserId
from services.messaging.kernel.own_state import OwnChange, OwnState
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.quotas import DayQuota


class ConversationStore(ConversationReader, Protocol):
    """The truth. Every change writes its event to the outbox in the same transaction.

    Errors of every method: runtime's StoreUnavailable.
    """

    async def open_direct(self, conversation: Conversation, opener: UserId, quota: DayQuota) -> Conversation:
        """Store the conversation, as the other member lets the opener invite (reach.invite), unless the pair has one;
        give the one that stands. Idempotent; only new ones count.

        Errors: NotAllowed, ConversationQuota, RequestQuota."""

    async def change_own_state(
        self, conversation_id: ConversationId, user_id: UserId, change: OwnChange, now: datetime
    ) -> OwnState | None:
        """The state afterwards; the user's devices are told. None when the user is no member. Idempotent."""
