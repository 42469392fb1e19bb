"""Waiting for a condition: the only way in which this client waits for anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# What moves while something is waited for.
Progress = Callable[[], object]


class DeadlineMissedError(Exception):
    """What was waited for did not come in time. The text says what, and what was seen last."""


class StallTimer:
    """Since when nothing has moved. What is seen and the clock's value, in seconds, are arguments."""

    def __init__(self, seen: object, now_s: float) -> None:
        self.seen = seen
        self._moved_at_s = now_s

    def stalled_s(self, seen: object, now_s: float) -> float:
        """For how long the same has been seen, in seconds; 0 when this is something else than the last time."""
        if seen != self.seen:
            self.seen, self._moved_at_s = seen, now_s
        return now_s - self._moved_at_s


def no_progress() -> object:
    """Nothing moves until the condition holds."""
    return None


class Changes:
    """Wakes whoever waits for a condition on state that others change.

    Who changes the state calls `notify` afterwards. For one event loop; not thread-safe.
    """

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()
        # By a number each: one function may be subscribed twice.
        self._listeners: dict[int, Callable[[], None]] = {}
        self._last_number = 0
        self._is_telling = False

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls back after each burst of changes, from the loop. Returns what ends the subscription."""
        self._last_number += 1
        number = self._last_number
        self._listeners[number] = listener

        def end() -> None:
            self._listeners.pop(number, None)

        return end

    def notify(self) -> None:
        """Says that the state has changed."""
        if self._listeners and not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_soon(self._tell)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _tell(self) -> None:
        self._is_telling = False
        for number, listener in list(self._listeners.items()):
            # One may end another's subscription.
            if number in self._listeners:
                listener()

    async def until(
        self, condition: Callable[[], bool], deadline_s: float, what: str, progress: Progress = no_progress
    ) -> None:
        """Returns once the condition holds. Raises DeadlineMissedError naming `what` after `deadline_s` seconds.

        With `progress`, after as many seconds in which its value stayed the same, however long the whole takes. The
        value is one that can change only so often: a count up to what is waited for.
        """
        now = asyncio.get_running_loop().time
        timer = StallTimer(progress(), now())
        while not condition():
            left_s = deadline_s - timer.stalled_s(progress(), now())
            try:
                async with asyncio.timeout(left_s):
                    await self._next_change()
            except TimeoutError:
                if condition():
                    return
                if timer.stalled_s(progress(), now()) >= deadline_s:
                    raise DeadlineMissedError(_describe(what, deadline_s, timer.seen)) from None

    async def until_without_deadline(self, condition: Callable[[], bool]) -> None:
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


def _describe(what: str, deadline_s: float, seen: object) -> str:
    if seen is None:
        return f"{what}: not within {deadline_s:g} s"
    return f"{what}: nothing moved for {deadline_s:g} s; last seen: {seen!r}"
