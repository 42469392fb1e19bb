"""Compiles the SFU's media path beside a stack that runs from the sources meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable

from deploy import native
from deploy.embedded.record import ROOT

# So that the services come first while it runs.
NICENESS = 19


@contextlib.asynccontextmanager
async def compiled_meanwhile(say: Callable[[str], None]) -> AsyncIterator[None]:
    """Compile during the block, when that has to be done and can be; what has not ended with the block is stopped."""
    if native.is_current() or native.missing() is not None:
        yield
        return
    say("The SFU runs from its sources this time; its media path is being compiled for the next start.")
    compiling = asyncio.create_task(_compile(say))
    try:
        yield
    finally:
        compiling.cancel()
        await asyncio.gather(compiling, return_exceptions=True)


async def _compile(say: Callable[[str], None]) -> None:
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", str(NICENESS), sys.executable, "-m", "deploy.native", str(native.BUILT)),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        failed = await process.wait() != 0
    finally:
        if process.returncode is None:
            # With the C compiler that it has started.
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    say("The media path could not be compiled: see `make native`." if failed else "The media path is compiled.")
