"""What messages need of the world."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from services.messaging.kernel.errors import MessagingError
from services.messaging.kernel.model import Attachment, Conversation, ConversationId, Draft, DraftKey, Edit, Message
from services.messaging.kernel.ports import MessageReader
from services.messaging.messages.core.changes import MessageChange

# Decides under the conversation's lock; None for nothing to do. What it raises undoes the transaction.
DecideMessage = Callable[[Conversation, Message | None], MessageChange | None]


class Uploads(Protocol):
    """Where the files of messages come from."""

    async def take(self, key: DraftKey, attachment_ids: Sequence[str]) -> tuple[Attachment, ...]:
        """The sender's uploads of these ids, whose bytes are there, for the message of this key.

        None of them when that message is stored already: its retry gets the first result, whatever became of them.
        Errors: InvalidField, AttachmentNotFound, AttachmentNotUploaded, ObjectsUnavailable, StoreUnavailable.
        """


class MessageStore(MessageReader, Protocol):
    """The truth. Every change writes its event to the outbox in the same transaction.

    Errors of every method: runtime's StoreUnavailable.
    """

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        """Append the drafts in one transaction; an outcome for each, in order. Idempotent by Draft.key."""

    async def find_sent(self, key: DraftKey) -> Message | None:
        """What was stored under this key, as its sender may know it (sequencing.first_result)."""

    async def change_message(
        self, conversation_id: ConversationId, seq: int, decide: DecideMessage, now: datetime
    ) -> Message:
        """Lock, decide, write with the next revision; the message as it stands then. Errors: ConversationNotFound."""

    async def list_edits(self, conversation_id: ConversationId, seq: int) -> Sequence[Edit]:
        """The former texts, the oldest first."""
