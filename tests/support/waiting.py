"""Waiting for a condition, with a deadline, instead of sleeping for a guess."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], *, within_s: float = 20.0, what: str = "the condition") -> None:
    """Return as soon as the condition is true. Raises AssertionError after the deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {within_s} s"
        await asyncio.sleep(0.01)


async def eventually(holds: Callable[[], Awaitable[bool]], deadline_s: float = 10) -> None:
    """Return as soon as the condition holds. Raises TimeoutError after the deadline."""
    async with asyncio.timeout(deadline_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


def poll(condition: Callable[[], object], within_s: float, failure: Callable[[], str]) -> None:
    """`until` for tests without an event loop, that wait for other processes. `failure` is asked only in the end."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(failure())
        # Another process's doing sets no event here.
        time.sleep(0.02)
