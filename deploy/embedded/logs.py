"""Where the lines of all processes go: a file each, and one readable, prefixed stream on the console."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from pathlib import Path
from typing import BinaryIO, TextIO

# Longer lines are cut into pieces, so that a process that never ends its line cannot fill the memory.
MAX_LINE_BYTES = 64 * 1024
TAIL_LINES = 12
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class LogSink:
    """Takes the lines of the processes. Keeps each one's last lines for an error message."""

    def __init__(self, directory: Path, console: TextIO | None) -> None:
        """`console` None: files only."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._console = console
        self._coloured = console is not None and console.isatty()
        self._files: dict[str, TextIO] = {}
        self._tails: dict[str, deque[str]] = {}

    def write(self, name: str, line: str) -> None:
        """One line of the named process, without its line end."""
        self._file(name).write(line + "\n")
        self._tails.setdefault(name, deque(maxlen=TAIL_LINES)).append(line)
        if self._console is not None:
            self._console.write(f"{self._prefix(name)} {line}\n")

    def flush(self) -> None:
        """Makes what was written visible."""
        for file in self._files.values():
            file.flush()
        if self._console is not None:
            self._console.flush()

    def tail(self, name: str) -> str:
        """The last lines of the named process."""
        return "\n".join(f"  {line}" for line in self._tails.get(name, ()))

    def path(self, name: str) -> Path:
        """The file of the named process."""
        return self._directory / f"{name}.log"

    def close(self) -> None:
        """Closes the files."""
        self.flush()
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _file(self, name: str) -> TextIO:
        if name not in self._files:
            self._files[name] = self.path(name).open("w", encoding="utf-8")
        return self._files[name]

    def _prefix(self, name: str) -> str:
        label = f"{name:<12}|"
        if not self._coloured:
            return label
        return f"\x1b[{_COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]}m{label}\x1b[0m"


async def pump(pipe: BinaryIO, name: str, sink: LogSink) -> None:
    """Carries a process's output into the sink until all who hold the pipe have closed it, then closes our end.

    Bytes that are no UTF-8 are replaced.
    """
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), pipe
    )
    try:
        await _carry(stream, name, sink)
    finally:
        transport.close()


async def _carry(stream: asyncio.StreamReader, name: str, sink: LogSink) -> None:
    rest = b""
    while chunk := await stream.read(MAX_LINE_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) >= MAX_LINE_BYTES:
            lines.append(rest)
            rest = b""
        for line in lines:
            sink.write(name, line.decode("utf-8", "replace").rstrip("\r"))
        sink.flush()
    if rest:
        sink.write(name, rest.decode("utf-8", "replace"))
        sink.flush()
