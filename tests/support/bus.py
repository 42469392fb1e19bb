"""A publisher in memory."""

from collections.abc import Sequence

from services.runtime.errors import BusUnavailable
from services.runtime.kafka.bus import Outgoing


class MemoryPublisher:
    """See services.runtime.kafka.bus.Publisher. `down` makes it refuse; `refused` counts how often it did."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.down = False
        self.refused = 0

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self.down:
            self.refused += 1
            raise BusUnavailable("down")
        self.records += records
