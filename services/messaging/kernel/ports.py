"""What features need to read of conversations and messages; whoever keeps them gives it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from services.messaging.kernel.model import Conversation, ConversationId, Message, Recipient


class ConversationReader(Protocol):
    """Conversations as they stand. Errors of every method: runtime's StoreUnavailable."""

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        """With its members."""

    async def recipients_of(
        self, conversation_ids: Collection[ConversationId]
    ) -> Mapping[ConversationId, Sequence[Recipient]]:
        """The members of each conversation that has some."""


class MessageReader(Protocol):
    """Messages as they stand. Errors of every method: runtime's StoreUnavailable."""

    async def find_message(self, conversation_id: ConversationId, seq: int) -> Message | None:
        """As it stands."""

    async def list_messages(
        self, conversation_id: ConversationId, after_seq: int, before_seq: int | None, limit: int
    ) -> Sequence[Message]:
        """Above after_seq and below before_seq, descending."""
