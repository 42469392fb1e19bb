"""So many questions at once; those about strangers' messages first, the others in the order in which they came."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

# For each that may run. Raising it lets more senders wait out the time for an answer under a flood; lowering it gives
# them none sooner.
WAITING_FOR_EACH = 16


class NoTurn(Exception):
    """As many wait as may."""


class Turns:
    """At most `at_once` hold a turn."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._most_waiting = at_once * WAITING_FOR_EACH
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    @asynccontextmanager
    async def turn(self, rank: int) -> AsyncIterator[None]:
        """Hold a turn; the lowest rank comes first. Raises NoTurn."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(rank)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, rank: int) -> None:
        # Those who went away while they waited are no load.
        if len(self._waiting) >= self._most_waiting:
            self._waiting = [entry for entry in self._waiting if not entry[2].done()]
            heapq.heapify(self._waiting)
            if len(self._waiting) >= self._most_waiting:
                raise NoTurn
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._order), granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                # It was granted in the moment in which it was given up.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, granted = heapq.heappop(self._waiting)
            if not granted.done():
                granted.set_result(None)
                return
        self._free += 1
