"""What the back office's use-cases need of the world."""

from typing import Protocol

from services.messaging.kernel.model import ConversationId, UserId


class Admission(Protocol):
    """Which accounts may still do something."""

    async def require_not_deleted(self, user_id: UserId) -> None:
        """Raises AccountDeleted. Errors: StoreUnavailable."""


class ModerationStore(Protocol):
    """What moderation decides. Errors of every method: StoreUnavailable."""

    async def set_frozen(self, conversation_id: ConversationId, *, frozen: bool) -> None:
        """Once it is done nothing more is said in a frozen conversation. Idempotent. Errors: ConversationNotFound."""
