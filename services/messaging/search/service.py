"""Search, as use-cases, and the indexing of old texts."""

import asyncio
from collections.abc import Sequence

import structlog

from services.messaging.conversations.service import readable
from services.messaging.kernel import checks
from services.messaging.kernel.access import is_unaccepted_by
from services.messaging.kernel.content import text_of
from services.messaging.kernel.model import ConversationId, Message, MessageId, UserId
from services.messaging.kernel.paging import decode_seq, encode_seq
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.weighing import MAX_ANSWER_BYTES, fitting, weigh_message
from services.messaging.kernel.withholding import shown
from services.messaging.search import core
from services.messaging.search.core import NO_FILTERS, Filters
from services.messaging.search.ports import SearchStore
from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# Texts a transaction. Raising it makes edits of these texts wait longer; lowering it makes more commits.
BATCH = 200
# Between looks that found little. Raising it finds later what a replica of the release before wrote; lowering it makes
# idle work.
INTERVAL_S = 60.0


class Search:
    """`user_id` is always the authenticated caller."""

    def __init__(self, store: SearchStore, conversations: ConversationReader, clock: Clock) -> None:
        self._store = store
        self._conversations = conversations
        self._clock = clock

    async def search(
        self,
        user_id: UserId,
        query: str,
        conversation_id: str,
        page_size: int,
        page_token: str,
        filters: Filters = NO_FILTERS,
    ) -> tuple[Sequence[Message], str]:
        """A page of texts, newest first, and the token of the next. Errors: InvalidField, ConversationNotFound.

        Without a query, of one conversation: what holds one of core.LISTED.
        """
        limit = checks.check_range("page_size", page_size, 20, 50)
        if filters.sender:
            checks.check_user_id("from_user_id", filters.sender)
        if conversation_id and filters.has and not query:
            return await self._list_holding(user_id, conversation_id, limit, page_token, filters)
        words = core.query_of(query)
        below = MessageId(checks.check_uuid("page_token", page_token)) if page_token else None
        conversation = await readable(self._conversations, user_id, conversation_id) if conversation_id else None
        within = conversation.id if conversation else None
        found = await self._store.search(user_id, words, within, below, limit + 1, filters)
        page = _page(found, limit)
        is_withheld = conversation is not None and is_unaccepted_by(conversation, user_id)
        visible = shown(page, self._clock.now(), is_withheld=is_withheld)
        texts = [message for message in visible if text_of(message.content) and core.passes(message, filters)]
        return texts, str(page[-1].id) if len(found) > len(page) else ""

    async def _list_holding(
        self, user_id: UserId, conversation_id: str, limit: int, page_token: str, filters: Filters
    ) -> tuple[Sequence[Message], str]:
        has = core.listed_kind(filters)
        before_seq = decode_seq(page_token)
        conversation = await readable(self._conversations, user_id, conversation_id)
        if is_unaccepted_by(conversation, user_id):
            # All of this is kept from people until they let the conversation in.
            return [], ""
        found = await self._store.list_holding(user_id, conversation.id, has, before_seq, limit + 1, filters)
        page = _page(found, limit)
        messages = [message for message in shown(page, self._clock.now()) if core.passes(message, filters)]
        return messages, encode_seq(page[-1].seq) if len(found) > len(page) else ""

    async def index_words(self, keys: Sequence[tuple[ConversationId, int]]) -> None:
        """Make the texts at these places findable. Idempotent."""
        await self._store.index_words(keys)


def _page(found: Sequence[Message], limit: int) -> Sequence[Message]:
    return found[: fitting([weigh_message(message) for message in found[:limit]], MAX_ANSWER_BYTES)]


class Reindexer:
    """Indexes again what an older release tokenized in another way, so that old texts are found like new ones.

    Every replica runs one; two that meet do the same work twice, and harm nothing.
    """

    def __init__(self, store: SearchStore) -> None:
        self._store = store

    async def run(self) -> None:
        """Index for ever."""
        while True:
            try:
                await self.index()
            except StoreUnavailable as error:
                log.warning("indexing_waits", error=describe(error))
            except Exception:
                log.exception("indexing_failed")
            await asyncio.sleep(INTERVAL_S)

    async def index(self) -> int:
        """Index all that there is now; how many texts. Errors: StoreUnavailable."""
        total = count = await self._store.index_old(BATCH)
        while count == BATCH:
            count = await self._store.index_old(BATCH)
            total += count
        return total
