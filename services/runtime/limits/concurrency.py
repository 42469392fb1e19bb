"""So many calls of one user run at once; more wait for their turn, in the order in which they came."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class TooManyWaiting(Exception):
    """As many calls of the user wait as may."""


class _UserCalls:
    """The calls of one user."""

    def __init__(self, at_once: int) -> None:
        self.turn = asyncio.Semaphore(at_once)
        self.count = 0


class Turns:
    """At most `at_once` calls of a user run, and `waiting` wait. Who has no call costs no memory.

    Waiting, and not refusing, lets a device that asks ten things at once have ten answers; the others' calls pass by.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once = at_once
        self._most = at_once + waiting
        self._calls: dict[Hashable, _UserCalls] = {}

    def __len__(self) -> int:
        return len(self._calls)

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Run one call of this user. Raises TooManyWaiting."""
        calls = self._calls.get(key) or self._calls.setdefault(key, _UserCalls(self._at_once))
        if calls.count >= self._most:
            raise TooManyWaiting(f"{calls.count} calls are under way")
        calls.count += 1
        try:
            async with calls.turn:
                yield
        finally:
            calls.count -= 1
            if not calls.count:
                self._calls.pop(key, None)
