"""The stack that a scenario runs against: that of a running `make run`, or one of its own while it lasts."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import grpc

from deploy.embedded.ports import Ports
from deploy.embedded.record import ROOT, StackRecord, read_record
from deploy.embedded.settings import PARTS, StackSettings
from deploy.embedded.stack import running_stack
from parley_client.client import Edge

_WORKING_FOLDER = ROOT / ".parley"
_PREFIX = "stack-"
# A stack that runs answers at once; a longer wait only delays the decision to start one.
_ANSWER_WITHIN_S = 3.0
# The two ports that people know stay free for `make run`.
_ANY_PORT = {"PARLEY_PORT_EDGE": "0", "PARLEY_PORT_MEDIA": "0"}


def edge_of(record: StackRecord) -> Edge:
    """Where a device finds this stack."""
    return Edge(record.edge_address, record.issuer_url)


@asynccontextmanager
async def find_stack(*, own: bool, say: Callable[[str], None]) -> AsyncIterator[StackRecord]:
    """The running stack unless `own`; else a new one on free ports and empty data, gone after the block.

    Raises deploy.embedded.errors.StackError when it cannot start.
    """
    record = None if own else read_record()
    if record is not None and await _answers(record):
        say(f"using the stack that runs at {record.web_url}")
        yield record
        return
    say("starting a stack of its own")
    async with own_stack() as started:
        say(f"the stack runs at {started.web_url}")
        yield started


@asynccontextmanager
async def own_stack(
    log_folder: Path = _WORKING_FOLDER / "demo-logs",
    *,
    parts: frozenset[str] = frozenset(PARTS) - {"web"},
    replicas: Mapping[str, int] | None = None,
    env: Mapping[str, str] | None = None,
    on_change: Callable[[StackRecord], None] = lambda _: None,
) -> AsyncIterator[StackRecord]:
    """A stack on free ports with empty data; all of it, but the web client's files, unless `parts` says less."""
    _WORKING_FOLDER.mkdir(exist_ok=True)
    await asyncio.to_thread(_remove_leftovers)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"{_PREFIX}{os.getpid()}-", dir=_WORKING_FOLDER))
    settings = StackSettings(folder=folder, log_folder=log_folder, parts=parts, replicas=replicas or {}, env=env or {})
    try:
        async with running_stack(settings, ports=Ports({**os.environ, **_ANY_PORT}), on_change=on_change) as stack:
            yield stack.record()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _remove_leftovers() -> None:
    """Who was killed, or stopped while PostgreSQL made its first files, has left data that nobody will use again."""
    for folder in _WORKING_FOLDER.glob(f"{_PREFIX}[0-9]*-*"):
        pid = int(folder.name.removeprefix(_PREFIX).partition("-")[0])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:
            continue


async def _answers(record: StackRecord) -> bool:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{record.issuer_url}/healthz") as response,
            asyncio.timeout(_ANSWER_WITHIN_S),
            grpc.aio.insecure_channel(record.edge_address) as channel,
        ):
            await channel.channel_ready()
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
