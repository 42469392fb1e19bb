"""What the back office's use-cases need of the world."""

from datetime import datetime
from typing import Protocol

from services.messaging.kernel.model import ConversationId, UserId


class Admission(Protocol):
    """Which accounts may still do something."""

    async def require_not_deleted(self, user_id: UserId) -> None:
        """Raises AccountDeleted. Errors: StoreUnavailable."""

    def note_restriction(self, user_id: UserId, until: datetime | None) -> None:
        """The account was restricted until then just now; None when that was lifted."""


class ModerationStore(Protocol):
    """What moderation decides. Errors of every method: StoreUnavailable."""

    async def set_frozen(self, conversation_id: ConversationId, *, frozen: bool) -> None:
        """Once it is done nothing more is said in a frozen conversation. Idempotent. Errors: ConversationNotFound."""

    async def set_restriction(self, user_id: UserId, until: datetime | None) -> None:
        """The account writes nothing before then; None lifts it. Idempotent."""
