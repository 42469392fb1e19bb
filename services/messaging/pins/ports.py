"""What pins need of the world."""

from collections.abc import Callable
from typing import Protocol

from services.messaging.groups.core.changes import ChangeStamp, GroupChange
from services.messaging.kernel.model import Conversation, ConversationId, Message

# Decides under the conversation's lock; None for nothing to do. What it raises undoes the transaction.
DecidePin = Callable[[Conversation, Message | None], GroupChange | None]


class PinStore(Protocol):
    """The truth. Every change writes its events to the outbox in the same transaction."""

    async def change_pins(
        self, conversation_id: ConversationId, seq: int, decide: DecidePin, stamp: ChangeStamp
    ) -> Conversation:
        """Lock, decide on the message of this seq, write; the conversation as it stands then.

        Errors: ConversationNotFound, runtime's StoreUnavailable.
        """
