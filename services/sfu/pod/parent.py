"""Tells a worker of a pod that the process which started it is gone."""

import asyncio
import sys

from services.runtime.tasks import Fatal


async def wait_for_orphanhood() -> None:
    """Wait until the process that started this one has ended. Raises Fatal then: nobody would stop this one."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    raise Fatal("the process that started this one has ended")
