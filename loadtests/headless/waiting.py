"""Waiting for a condition with a deadline: the only way in which this client waits for anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class DeadlineMissedError(Exception):
    """What was waited for did not come in time. The text says what."""


class Changes:
    """Wakes whoever waits for a condition on state that others change.

    Who changes the state calls `notify` afterwards. For one event loop; not thread-safe.
    """

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Says that the state has changed."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool], deadline_s: float, what: str) -> None:
        """Returns once the condition holds. Raises DeadlineMissedError naming `what` after `deadline_s` seconds."""
        try:
            async with asyncio.timeout(deadline_s):
                while not condition():
                    await self._next_change()
        except TimeoutError:
            raise DeadlineMissedError(f"{what}: not within {deadline_s:g} s") from None

    async def until_ever(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds, however late."""
        while not condition():
            await self._next_change()

    async def _next_change(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
