"""What the search consumes: messaging's own events."""

from collections.abc import Sequence
from uuid import UUID

from services.messaging.kernel.model import ConversationId
from services.messaging.search.ports import SearchStore
from services.messaging.wire.contents import text_in
from services.messaging.wire.events import read_event
from services.runtime.kafka.bus import Incoming


class SearchIndex:
    """messaging.events.v1 → the words of new and edited texts. Idempotent: what stands in the store is indexed."""

    def __init__(self, store: SearchStore) -> None:
        self._store = store

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Index a batch. Errors: PoisonRecord, StoreUnavailable."""
        keys = []
        for record in records:
            event = read_event(record)
            message = event.message_sent.message if event.HasField("message_sent") else event.message_changed.message
            if text_in(message):
                keys.append((ConversationId(UUID(event.conversation_id)), message.seq))
        if keys:
            await self._store.index_words(list(dict.fromkeys(keys)))
