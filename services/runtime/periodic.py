"""Work that is done again and again: for what replicas that died left, and for what was kept for long enough."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from services.runtime.errors import StoreUnavailable
from services.runtime.lifecycle import Worker
from services.runtime.observability.failures import describe

log = structlog.get_logger()


class PeriodicTask(Worker):
    """A part that works, waits for `interval_s`, and works again. What an outage of the store cuts off is done at a
    later turn; any other failure is that of a task (tasks.py)."""

    def __init__(
        self, name: str, work: Callable[[], Awaitable[None]], interval_s: float, wake: asyncio.Event | None = None
    ) -> None:
        """`wake` is set when there is something to do before the time."""
        super().__init__(name, self.run)
        self._work = work
        self._interval_s = interval_s
        self._wake = wake or asyncio.Event()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            self._wake.clear()
            try:
                await self._work()
            except StoreUnavailable as error:
                log.info("periodic_task_waits", task=self.name, error=describe(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._wake.wait()
