"""Waiting for a condition, with a deadline, instead of sleeping for a guess."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], *, within_s: float = 20.0, what: str = "the condition") -> None:
    """Return as soon as the condition is true. Raises AssertionError after the deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {within_s} s"
        await asyncio.sleep(0.01)
