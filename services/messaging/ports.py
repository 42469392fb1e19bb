"""What messaging needs of the world."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from services.messaging.core import (
    Conversation,
    ConversationId,
    Delta,
    Draft,
    Message,
    MessagingError,
    PageMark,
    UserId,
)


class Store(Protocol):
    """The truth. Every change writes its event to the outbox in the same transaction.

    Errors of every method: runtime's StoreUnavailable.
    """

    async def open_direct(self, conversation: Conversation) -> Conversation:
        """Store the conversation unless its pair has one; give the one that stands. Idempotent."""

    async def find_conversation(self, conversation_id: ConversationId) -> Conversation | None:
        """With its members."""

    async def list_conversations(
        self, user_id: UserId, below: PageMark | None, limit: int
    ) -> Sequence[tuple[Conversation, Message | None, datetime]]:
        """The user's conversations, newest activity first, with the last message and the time of that activity."""

    async def append(self, drafts: Sequence[Draft]) -> Sequence[Message | MessagingError]:
        """Append the drafts in one transaction; an outcome for each, in order. Idempotent by Draft.key."""

    async def list_messages(
        self, conversation_id: ConversationId, before_seq: int | None, limit: int
    ) -> Sequence[Message]:
        """Descending by seq."""

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, int],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
    ) -> Sequence[Delta]:
        """What the user's device lacks: see Sync in service.proto."""

    async def move_read_cursor(
        self, conversation_id: ConversationId, user_id: UserId, seq: int, now: datetime
    ) -> int | None:
        """Move forward, at most to the last message; where it stands then. None when the user is no member."""

    async def members_of(
        self, conversation_ids: Collection[ConversationId]
    ) -> Mapping[ConversationId, Sequence[UserId]]:
        """The members of each conversation that exists."""

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        """The candidates who share a conversation with the user."""
