"""The stack of another checkout, so that two commits can be measured in turn by one generator."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path

from deploy.embedded.errors import StackError, StartError
from deploy.embedded.record import StackRecord
from deploy.embedded.settings import PARTS
from loadtests.stacks import own_stack

_STARTED_WITHIN_S, _LOOK_EVERY_S = 300.0, 0.2


@asynccontextmanager
async def stack_of(tree: Path | None, logs: Path) -> AsyncIterator[StackRecord]:
    """A stack of its own on free ports, of this checkout or of another one that is set up. Raises StackError."""
    if tree is None:
        async with own_stack(logs) as record:
            yield record
        return
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="parley-old-"))
    record_path = folder / "stack.json"
    parts = ",".join(part for part in PARTS if part != "web")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.embedded", "run", "--quiet", "--folder", str(folder / "data")),
        *("--log-folder", str(logs), "--record", str(record_path), "--parts", parts),
        cwd=tree,
        env=_environment(tree),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield await _until_started(process, record_path)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _environment(tree: Path) -> dict[str, str]:
    """Its own code comes first; the two ports that people know stay free."""
    path = os.pathsep.join(str(tree / part) for part in (".", "gen", "clients/python"))
    return {**os.environ, "PYTHONPATH": path, "PARLEY_PORT_EDGE": "0", "PARLEY_PORT_MEDIA": "0"}


async def _until_started(process: asyncio.subprocess.Process, record_path: Path) -> StackRecord:
    deadline_s = time.monotonic() + _STARTED_WITHIN_S
    while (record := _read(record_path)) is None:
        if process.returncode is not None:
            raise StartError(f"the other checkout's stack ended with status {process.returncode}")
        if time.monotonic() > deadline_s:
            raise StackError(f"the other checkout's stack did not start within {_STARTED_WITHIN_S:g} s")
        await asyncio.sleep(_LOOK_EVERY_S)
    return record


def _read(path: Path) -> StackRecord | None:
    """None until all runs. An older commit may say less of its stack, or more."""
    if not path.exists():
        return None
    told = json.loads(path.read_text())
    return StackRecord(**{field.name: told.get(field.name, "") for field in fields(StackRecord)})
