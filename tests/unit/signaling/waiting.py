"""Waiting for what happens in the background, with a deadline in place of a sleep."""

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(holds: Callable[[], Awaitable[bool]], deadline_s: float = 10) -> None:
    """Return as soon as the condition holds. Raises TimeoutError after the deadline."""
    async with asyncio.timeout(deadline_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)
