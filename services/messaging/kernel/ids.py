"""Ids, each a type of its own."""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", str)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)
AttachmentId = NewType("AttachmentId", UUID)

NOBODY = UserId("")
