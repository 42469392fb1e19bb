"""Looks for bytes in the memory of running processes (Linux, /proc)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# Raising it takes more memory of the test's own; lowering it reads more often.
CHUNK_BYTES = 16 * 2**20
# address-address, readable and writable, offset, device, inode, path: what only the kernel may read has a name there.
_WRITABLE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw\S+ \S+ \S+ \S+ *(?!\[v|/dev/)", re.MULTILINE)


def processes_holding(pids: Mapping[str, int], wanted: Sequence[bytes]) -> tuple[int, set[str]]:
    """How many bytes were looked at in what these processes and their children have written, and the names of those
    that hold one of the wanted. Raises PermissionError for processes of others."""
    count, found = 0, set()
    for name, pid in pids.items():
        for process in (pid, *_children(pid)):
            for chunk in _written(process, max(map(len, wanted))):
                count += len(chunk)
                if any(each in chunk for each in wanted):
                    found.add(name)
    return count, found


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from _children(child)


def _written(pid: int, overlap: int) -> Iterator[bytes]:
    """All memory that a process can write, in chunks that overlap; what it gives back meanwhile is passed over."""
    folder = Path(f"/proc/{pid}")
    with suppress(FileNotFoundError, ProcessLookupError):
        regions = _WRITABLE.findall((folder / "maps").read_text())
        with (folder / "mem").open("rb", buffering=0) as memory:
            for begin, end in ((int(first, 16), int(last, 16)) for first, last in regions):
                for place in range(begin, end, CHUNK_BYTES - overlap):
                    with suppress(OSError):
                        memory.seek(place)
                        yield memory.read(min(CHUNK_BYTES, end - place))
