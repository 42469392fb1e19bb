"""What receipts need of the world."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from services.messaging.kernel.model import ConversationId, UserId


class ReceiptStore(Protocol):
    """Cursors of members: one's own, and what the others may know of it. None ever goes back.

    Others learn nothing while the user sends no receipts, has not let the conversation in, or a block stands; what they
    did not learn then, they learn with the next move.
    Errors of every method: runtime's StoreUnavailable.
    """

    async def move_read_cursor(
        self, conversation_id: ConversationId, user_id: UserId, seq: int, now: datetime
    ) -> int | None:
        """Move one's own cursor forward, at most to the last message; where it stands then. None when no member.

        A mark "unread" is taken away. The user's devices are told.
        """

    async def move_delivered_cursors(
        self, user_id: UserId, places: Mapping[ConversationId, int], now: datetime, receipt_members: int
    ) -> None:
        """Move what others know forward, at most to the last messages. Conversations that the user is not in are left.

        Told live where there are at most `receipt_members` members; elsewhere Sync brings it.
        """
