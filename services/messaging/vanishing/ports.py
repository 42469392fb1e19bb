"""What vanishing needs of the world."""

from datetime import datetime
from typing import Protocol

from services.messaging.groups.core.changes import ChangeStamp
from services.messaging.groups.ports import DecideGroup
from services.messaging.kernel.model import Conversation, ConversationId


class GroupStore(Protocol):
    """The part of the store of groups that changes conversations."""

    async def change_group(
        self, conversation_id: ConversationId, decide: DecideGroup, stamp: ChangeStamp
    ) -> Conversation:
        """Lock, decide, write; the conversation as it stands then. Errors: ConversationNotFound."""


class SweepStore(Protocol):
    """What the sweeper does to the truth. Any number of replicas at once; locked conversations are skipped.

    Devices are told in the same transaction. Errors of every method: runtime's StoreUnavailable.
    """

    async def expire_due(self, now: datetime, limit: int, skipped: int = 0) -> int:
        """Make tombstones of at most `limit` messages whose time is over, the longest overdue first; how many.

        So many of the longest overdue ones are skipped.
        """

    async def release_due(self, now: datetime, limit: int) -> int:
        """Take their files from at most `limit` view-once messages whose time for it has come; how many."""

    async def find_old(
        self, cutoff: datetime, after: ConversationId | None, limit: int
    ) -> tuple[list[ConversationId], ConversationId | None]:
        """Of the next `limit` conversations by id above `after`: those whose oldest message was sent before the cutoff,
        and where to go on; None at the end."""

    async def delete_old(self, conversation_id: ConversationId, cutoff: datetime, now: datetime, limit: int) -> int:
        """Delete at most `limit` messages from the beginning of the history, up to the first sent since the cutoff;
        how many."""
