"""What the search needs of the world."""

from collections.abc import Sequence
from typing import Protocol

from services.messaging.kernel.model import ConversationId, Message, MessageId, UserId
from services.messaging.search.core import NO_FILTERS, Filters, Has


class SearchStore(Protocol):
    """The words of texts. Errors of every method: runtime's StoreUnavailable."""

    async def index_words(self, keys: Sequence[tuple[ConversationId, int]]) -> None:
        """Make the texts at these places findable as they stand now. Idempotent, in any order."""

    async def index_old(self, limit: int) -> int:
        """Index anew some of what an older release indexed; how many there were, at most `limit`."""

    async def search(
        self,
        user_id: UserId,
        query: str,
        within: ConversationId | None,
        below: MessageId | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> Sequence[Message]:
        """Texts that the user may see and that match the query of core.query_of, newest first: all that pass the
        filters, and perhaps others that hold something like it."""

    async def list_holding(
        self,
        user_id: UserId,
        within: ConversationId,
        has: Has,
        before_seq: int | None,
        limit: int,
        filters: Filters = NO_FILTERS,
    ) -> Sequence[Message]:
        """Messages that the user may see and that hold one of core.LISTED, the highest seq first: all that pass the
        filters, and perhaps others that hold something like it. Of them no more are looked at than a page needs,
        except for a sender and for times."""
