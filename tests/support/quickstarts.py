"""Following a page of the documentation word for word, in a folder and with people of a test's own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.waiting import PATIENCE_S, within

# A registry may have to be asked.
INSTALL_PATIENCE_S = 300.0
# Where the pages say that Parley listens.
DOCUMENTED_EDGE = "127.0.0.1:8080"


def environment() -> dict[str, str]:
    """With the programs that `make setup` brought, and nothing that leads into this repository."""
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**own, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def with_people(text: str, people: Mapping[str, str]) -> str:
    """The text with other people in place of those that it names."""
    for name, user_id in people.items():
        text = re.sub(rf"\b{re.escape(name)}\b", user_id, text)
    return text


class Program:
    """A program that runs, and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def until_line(self, line: str) -> None:
        """Waits until it has printed this line."""
        seen: list[str] = []
        assert self._process.stdout
        while line not in seen:
            said = await within(self._process.stdout.readline(), PATIENCE_S)
            assert said, f"it ended without saying {line!r}: {''.join(seen)[-2000:]}"
            seen.append(said.decode().rstrip("\n"))

    async def until_end(self) -> str:
        """What it prints until it ends well."""
        said: list[bytes] = []
        assert self._process.stdout
        while line := await within(self._process.stdout.readline(), PATIENCE_S):
            said.append(line)
        out = b"".join(said).decode()
        assert await within(self._process.wait(), PATIENCE_S) == 0, out[-2000:]
        return out

    def kill(self) -> None:
        """As a machine that dies."""
        os.killpg(self._process.pid, signal.SIGKILL)


@asynccontextmanager
async def running(*command: str, where: Path, env: Mapping[str, str] | None = None) -> AsyncIterator[Program]:
    """A program for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=where,
        env={**environment(), **(env or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # What it starts has to go with it.
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
