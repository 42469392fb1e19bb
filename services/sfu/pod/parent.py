"""Tells a worker of a pod that the process which started it is gone."""

import asyncio
import sys


async def wait_for_orphanhood() -> None:
    """Return when the process that started this one has ended."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
