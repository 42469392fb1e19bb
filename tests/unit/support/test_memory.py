"""What a process holds in its memory is found there, in that of its children too, and nothing else is."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.memory import CHUNK_BYTES, processes_holding

# The whole secret stands in no command line and in no pipe. It sleeps until it was looked at and is killed.
KEEPER = (
    "import sys, time; half = sys.stdin.buffer.read(32); kept = b'x' * {padding} + half * 2;"
    " print('kept', flush=True); time.sleep(600)"
)
IN_A_CHILD = "import subprocess, sys; subprocess.run((sys.executable, '-c', sys.argv[1]))"
DIRECTLY, BY_A_PARENT = (sys.executable, "-c"), (sys.executable, "-c", IN_A_CHILD)


@contextmanager
def keeper(half: bytes, command: tuple[str, ...], padding: int) -> Iterator[int]:
    process = subprocess.Popen(
        (*command, KEEPER.format(padding=padding)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdin
        assert process.stdout
        process.stdin.write(half)
        process.stdin.flush()
        assert process.stdout.readline() == b"kept\n"
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("command", [DIRECTLY, BY_A_PARENT], ids=["itself", "its child"])
@pytest.mark.parametrize("padding", [0, 3 * CHUNK_BYTES])
def test_what_a_process_holds_is_found(command: tuple[str, ...], padding: int) -> None:
    half, other = secrets.token_bytes(32), secrets.token_bytes(64)
    with keeper(half, command, padding) as pid:
        count, found = processes_holding({"keeper": pid}, [other, half * 2])
        assert found == {"keeper"}
        assert count > padding
        assert processes_holding({"keeper": pid}, [other])[1] == set()
