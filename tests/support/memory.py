"""Looks for bytes in the memory of running processes (Linux, /proc)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# Raising it takes more memory of the test's own; lowering it reads more often.
CHUNK_BYTES = 16 * 2**20
# Of /proc/PID/smaps: address-address, what may be done, offset, device, inode, path; further down how much is there.
# What only the kernel may read has a name in brackets.
_WRITABLE = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) rw.(.) \S+ (\S+ \S+) *(?!\[v).*\n(?:.*\n)*?Rss: +([0-9]+) kB$", re.MULTILINE
)


def processes_holding(pids: Mapping[str, int], wanted: Sequence[bytes]) -> tuple[int, set[str]]:
    """How many bytes were looked at in what these processes and their children have written, and the names of those
    that hold one of the wanted. Raises PermissionError for processes of others."""
    count = 0
    found: set[str] = set()
    seen: set[str] = set()
    for name, pid in pids.items():
        for process in (pid, *_children(pid)):
            for chunk in _written(process, max(map(len, wanted)), seen):
                count += len(chunk)
                if any(each in chunk for each in wanted):
                    found.add(name)
    return count, found


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from _children(child)


def _written(pid: int, overlap: int, seen: set[str]) -> Iterator[bytes]:
    """All memory that a process can write, in chunks that overlap; what it gives back meanwhile is passed over.

    `seen` has the memory that processes share, by its file: each is looked at once.
    """
    folder = Path(f"/proc/{pid}")
    with suppress(FileNotFoundError, ProcessLookupError):
        regions = _WRITABLE.findall((folder / "smaps").read_text())
        with (folder / "mem").open("rb", buffering=0) as memory:
            for first, last, kind, file, resident_kb in regions:
                if resident_kb == "0" or (kind == "s" and file in seen):
                    continue
                if kind == "s":
                    seen.add(file)
                for place in range(int(first, 16), int(last, 16), CHUNK_BYTES - overlap):
                    with suppress(OSError):
                        memory.seek(place)
                        yield memory.read(min(CHUNK_BYTES, int(last, 16) - place))
