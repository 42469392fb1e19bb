"""What drafts need of the world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.messaging.drafts.core import KeptDraft, WantedDraft
from services.messaging.kernel.model import ConversationId, UserId


class DraftStore(Protocol):
    """The truth. Errors of every method: runtime's StoreUnavailable."""

    async def write(
        self, user_id: UserId, conversation_id: ConversationId, wanted: WantedDraft, now: datetime, most: int
    ) -> KeptDraft:
        """Keep it; as it stands then. The person's devices are told of a change in the same transaction. Idempotent.

        Errors: ConversationNotFound, TooManyDrafts when the person has `most` of them.
        """

    async def list_of(
        self, user_id: UserId, after: ConversationId | None, limit: int, now: datetime
    ) -> Sequence[KeptDraft]:
        """A person's drafts, by conversation, above `after`; none whose time is over."""

    async def sweep(self, now: datetime, limit: int) -> int:
        """Delete some of those whose time is over; how many."""
