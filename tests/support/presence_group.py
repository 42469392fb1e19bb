"""A consumer group in memory."""

from services.runtime.errors import BusUnavailable


class MemoryGroup:
    """See services.presence.ports.Group. `down` makes it refuse; `expelled` is in the order of the farewells."""

    def __init__(self) -> None:
        self.expelled: list[str] = []
        self.down = False

    async def expel(self, member_id: str) -> None:
        if self.down:
            raise BusUnavailable("down")
        self.expelled.append(member_id)
