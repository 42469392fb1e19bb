"""What notices need of the world."""

from collections.abc import Sequence
from typing import Protocol

from services.messaging.notices.core import NoticeFacts, NoticeQuestion


class FactReader(Protocol):
    """How people keep their conversations. Raises StoreUnavailable."""

    async def facts(self, questions: Sequence[NoticeQuestion]) -> Sequence[NoticeFacts]:
        """As things stand now: an answer for each question, in their order."""
