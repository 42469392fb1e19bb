"""The topics with public events → deliveries to come."""

from collections.abc import Callable, Sequence

from services.runtime.kafka.bus import Incoming
from services.webhooks.core.filters import wants
from services.webhooks.core.model import Endpoint
from services.webhooks.mapping import (
    ACCOUNTS_TOPIC,
    CALLS_TOPIC,
    MESSAGING_TOPIC,
    PRESENCE_TOPIC,
    read,
)
from services.webhooks.ports import Erasure
from services.webhooks.service import Intake

TOPICS = (MESSAGING_TOPIC, CALLS_TOPIC, PRESENCE_TOPIC, ACCOUNTS_TOPIC)
GROUP = "webhooks"


class EventsConsumer:
    """Any of the topics. At least once: the offset is committed after the deliveries are written down."""

    def __init__(self, intake: Intake, endpoints: Callable[[], Sequence[Endpoint]]) -> None:
        self._intake = intake
        self._endpoints = endpoints

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Idempotent. Raises PoisonRecord, StoreUnavailable."""
        found = [news for record in records if (news := read(record))]
        endpoints = self._endpoints()
        # Written as JSON only where somebody is told.
        events = [news.rendered() for news in found if any(wants(endpoint, news.event) for endpoint in endpoints)]
        erasure = Erasure(
            frozenset().union(*(news.erasure.author_ids for news in found)),
            frozenset().union(*(news.erasure.message_ids for news in found)),
        )
        await self._intake.take(events, erasure)
