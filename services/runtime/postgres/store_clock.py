"""The time that all replicas of a service share: their database's, carried on by each host's monotonic clock."""

import asyncio
from datetime import datetime, timedelta

import structlog

from services.runtime.clock import Clock
from services.runtime.errors import StoreUnavailable
from services.runtime.postgres.database import Database

log = structlog.get_logger()

# Between two questions for the time. Raising it lets a slow quartz drift further, by some ms a minute; lowering it
# costs an idle service more queries.
ASK_INTERVAL_S = 30.0
RETRY_S = 0.2


class StoreClock:
    """A Clock for what replicas write and judge together: deadlines, leases, times of rows.

    A step of this host's wall clock changes nothing, and replicas whose clocks differ agree. Until the database has
    been asked, and while it is away, the time goes on from what is known, at first from this host's own clock.
    """

    def __init__(self, database: Database, own: Clock) -> None:
        self._database = database
        self._own = own
        self._known = own.now()
        self._known_at = own.monotonic()
        self._is_known = False

    async def is_known(self) -> bool:
        """Whether the database has given the time yet. Before that tokens are judged by this host's clock alone."""
        return self._is_known

    def now(self) -> datetime:
        """See Clock."""
        return self._known + timedelta(seconds=self._own.monotonic() - self._known_at)

    def monotonic(self) -> float:
        """See Clock."""
        return self._own.monotonic()

    def learn(self, database_time: datetime, asked_at: float, answered_at: float) -> None:
        """Take the database's time, read between these two monotonic instants."""
        offset_s = (database_time - self._own.now()).total_seconds()
        if abs(offset_s) > 1:
            log.warning("host_clock_differs", offset_s=round(offset_s, 1))
        self._known, self._known_at, self._is_known = database_time, (asked_at + answered_at) / 2, True

    async def run(self) -> None:
        """Ask for the time, for ever."""
        while True:
            is_known = await self.ask()
            await asyncio.sleep(ASK_INTERVAL_S if is_known else RETRY_S)

    async def ask(self) -> bool:
        """Ask the database once; False while it is away."""
        try:
            async with self._database.connection() as connection:
                asked_at = self._own.monotonic()
                database_time = await connection.fetchval("SELECT clock_timestamp()")
        except StoreUnavailable:
            return False
        self.learn(database_time, asked_at, self._own.monotonic())
        return True
