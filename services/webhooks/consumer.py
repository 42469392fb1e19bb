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

# Of these a late one hurts less: a killed replica's partitions may move later, and an idle service asks less.
BACKGROUND = frozenset({PRESENCE_TOPIC, ACCOUNTS_TOPIC})
MESSAGING_GROUP = "webhooks-messaging"
CALLS_GROUP = "webhooks-calls"
PRESENCE_GROUP = "webhooks-presence"
ACCOUNTS_GROUP = "webhooks-accounts"
# By topic, the group that reads it.
GROUPS = {
    MESSAGING_TOPIC: MESSAGING_GROUP,
    CALLS_TOPIC: CALLS_GROUP,
    PRESENCE_TOPIC: PRESENCE_GROUP,
    ACCOUNTS_TOPIC: ACCOUNTS_GROUP,
}


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
