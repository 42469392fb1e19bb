"""What relations consume: the network's graph."""

from collections.abc import Sequence

from services.messaging.relations.mapping import graph_event
from services.messaging.relations.service import Relations
from services.runtime.kafka.bus import Incoming


class GraphCopy:
    """graph.events.v1 → our copy of follows, blocks and verified people. Idempotent: the later event_time holds."""

    def __init__(self, relations: Relations) -> None:
        self._relations = relations

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Take a batch in. Errors: PoisonRecord, StoreUnavailable."""
        await self._relations.apply_graph_events([graph_event(record.value) for record in records])
