"""Following a page of the documentation in an empty folder: its blocks, its commands, and the server that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.docs.blocks import blocks as every_block_of
from tests.support.quickstarts import INSTALL_PATIENCE_S, environment
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code of a page."""
    return [block.text for block in every_block_of(text) if block.language == language]


def shell(script: str, where: Path) -> str:
    """What the lines print; fails with what they say."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=where, env=environment(), capture_output=True, text=True, timeout=INSTALL_PATIENCE_S, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@contextmanager
def served(command: str, where: Path) -> Iterator[None]:
    """The page's own server, once it says that it listens."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=where,
        env={**environment(), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # npx starts another process, which has to go with it.
        start_new_session=True,
    )
    try:
        assert process.stdout
        heard: list[str] = []
        for line in process.stdout:
            heard.append(line)
            if "localhost:" in line:
                break
        else:
            pytest.fail(f"{command} ended: {''.join(heard)}")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE_S)
