"""A publisher in memory."""

from collections.abc import Sequence

from services.runtime.bus import Outgoing
from services.runtime.errors import BusUnavailable


class MemoryPublisher:
    """See services.runtime.bus.Publisher. `down` makes it refuse."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.down = False

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self.down:
            raise BusUnavailable("down")
        self.records += records
