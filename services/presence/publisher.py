"""→ presence.events.v1."""

from collections.abc import Sequence

from services.presence.mapping import encode_event
from services.presence.ports import StateRow
from services.runtime.kafka.bus import Outgoing, Publisher

TOPIC = "presence.events.v1"


class KafkaFeed:
    """See ports.StateFeed."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def publish(self, rows: Sequence[StateRow]) -> None:
        """See ports.StateFeed."""
        await self._publisher.publish([Outgoing(TOPIC, row.user_id.encode(), encode_event(row)) for row in rows])
