"""A loop that does what is due, and sleeps until more is or until it is woken."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.runtime import tasks
from services.runtime.errors import StoreUnavailable


class DueLoop:
    """`do_due` does what is due, and says how many seconds to wait if nothing wakes the loop.

    While the store is away it is asked again after `unavailable_s`.
    """

    def __init__(self, name: str, do_due: Callable[[], Awaitable[float]], unavailable_s: float) -> None:
        self._name = name
        self._do_due = do_due
        self._unavailable_s = unavailable_s
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the process is not ready without it."""
        self._task = tasks.keep(self._name, self._run, needed=True)

    async def stop(self) -> None:
        """Begin with nothing more."""
        await tasks.stop(self._task)

    def wake(self) -> None:
        """Say that something may be due."""
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                wait_s = await self._do_due()
            except StoreUnavailable:
                wait_s = self._unavailable_s
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
