"""A service as a process of its own, which a test may kill."""

import asyncio
import os
import sys
from collections.abc import Mapping


class ServiceProcess:
    """`module` is run by the tests' Python, with its variables beside those of the tests."""

    def __init__(self, module: str, env: Mapping[str, str]) -> None:
        self._module = module
        self._env = {**os.environ, **env}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, env=self._env, stderr=asyncio.subprocess.DEVNULL
        )

    async def kill(self) -> None:
        """kill -9. Idempotent."""
        assert self._process
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
