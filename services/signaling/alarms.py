"""When this replica looks at which call."""

import asyncio
import heapq
from dataclasses import dataclass, field
from datetime import datetime

from services.signaling.core.model import CallId

# The longest sleep, for the case that the clock is set. Raising it makes calls late after a clock was set; lowering it
# wakes an idle process more often.
LONGEST_WAIT_S = 5.0


@dataclass
class Alarms:
    """When this replica looks at which call. Lost with the process: the table's due_time is not."""

    _heap: list[tuple[datetime, CallId]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def schedule(self, call_id: CallId, due_time: datetime) -> None:
        """Have the call looked at then, besides any earlier time."""
        heapq.heappush(self._heap, (due_time, call_id))
        self._changed.set()

    def pop_due(self, now: datetime) -> list[CallId]:
        """The calls to look at now; each alarm is given once."""
        due: list[CallId] = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[1])
        return due

    async def wait(self, now: datetime) -> None:
        """Return when an alarm is due or a new one was set."""
        wait_s = (self._heap[0][0] - now).total_seconds() if self._heap else LONGEST_WAIT_S
        try:
            async with asyncio.timeout(max(0.0, min(wait_s, LONGEST_WAIT_S))):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()
