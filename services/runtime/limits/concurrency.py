"""So many calls of one user run at once; more wait for their turn, in the order in which they came."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class LineFull(Exception):
    """As many calls of the user wait as may."""


class _Line:
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
        self._lines: dict[Hashable, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Run one call of this user. Raises LineFull."""
        line = self._lines.get(key) or self._lines.setdefault(key, _Line(self._at_once))
        if line.count >= self._most:
            raise LineFull(f"{line.count} calls are under way")
        line.count += 1
        try:
            async with line.turn:
                yield
        finally:
            line.count -= 1
            if not line.count:
                self._lines.pop(key, None)
