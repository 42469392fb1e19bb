"""What the checker's library does to the files of a process that it is preloaded into."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path

import pytest

from tests.faults.checker import disks
from tests.faults.checker.disks import Disk
from tests.support.needs import LEFT_OUT, leave_out

# Carries out what it reads, and says the number of the error, or 0.
CHILD = """
import mmap, os, sys
path = sys.argv[1]
fd = os.open(path, os.O_RDWR | os.O_CREAT)
acts = {
    "append": lambda: os.pwrite(fd, b"more", os.fstat(fd).st_size),
    "go on": lambda: (os.lseek(fd, 0, os.SEEK_END), os.write(fd, b"more")),
    "gather": lambda: os.pwritev(fd, [b"mo", b"re"], os.fstat(fd).st_size),
    "reserve": lambda: os.posix_fallocate(fd, os.fstat(fd).st_size, 100),
    "leave a hole": lambda: os.ftruncate(fd, os.fstat(fd).st_size + 100_000),
    "map": lambda: mmap.mmap(fd, 0).close(),
    "overwrite": lambda: os.pwrite(fd, b"x", 0),
    "sync": lambda: (os.fsync(fd), os.fdatasync(fd)),
}
for line in sys.stdin:
    try:
        acts[line.strip()]()
        print(0, flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""
GROWING = ("append", "go on", "gather", "reserve")


class Child:
    """A process with a disk of its own."""

    def __init__(self, process: subprocess.Popen[str], disk: Disk) -> None:
        self.disk = disk
        self._process = process

    def does(self, act: str) -> int:
        """The error's number; 0 when it went well. The answer comes through a pipe, which no disk holds up."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{act}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def running(folder: Path) -> Iterator[Child]:
    disk = Disk(folder / "disk")
    env = {**os.environ, **disk.env(disks.build_shim())}
    command = [sys.executable, "-c", CHILD, str(folder / "file")]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Child(process, disk)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    if reason := disks.missing():
        leave_out(f"{LEFT_OUT}{reason}")
    with running(tmp_path) as child:
        yield child


def test_a_disk_that_nobody_touches_takes_everything(child: Child) -> None:
    assert {act: child.does(act) for act in (*GROWING, "overwrite", "sync")} == dict.fromkeys(
        (*GROWING, "overwrite", "sync"), 0
    )
    assert (child.disk.delayed, child.disk.refused) == (0, 0)


def test_a_full_disk_takes_what_makes_no_file_longer(child: Child) -> None:
    assert child.does("append") == 0
    child.disk.set(is_full=True)
    assert {act: child.does(act) for act in GROWING} == dict.fromkeys(GROWING, ENOSPC)
    assert child.does("overwrite") == child.does("sync") == 0
    assert child.disk.refused == len(GROWING)


def test_a_full_disk_maps_no_file_with_holes(child: Child) -> None:
    assert child.does("append") == 0
    child.disk.set(is_full=True)
    assert child.does("map") == 0
    assert child.does("leave a hole") == 0
    assert child.does("map") == ENOSPC
    child.disk.set()
    assert child.does("map") == 0


def test_there_is_room_again(child: Child) -> None:
    child.disk.set(is_full=True)
    assert child.does("append") == ENOSPC
    child.disk.set()
    assert {act: child.does(act) for act in GROWING} == dict.fromkeys(GROWING, 0)


def test_a_slow_disk_delays_writes_and_syncs(child: Child) -> None:
    child.disk.set(write_delay_us=1)
    assert child.does("append") == child.does("sync") == 0
    assert child.disk.delayed == 1
    child.disk.set(sync_delay_us=1)
    assert child.does("append") == child.does("sync") == 0
    assert child.disk.delayed == 3
