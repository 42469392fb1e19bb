"""Finds what a test leaves behind in the one event loop that all tests share: tasks, gRPC channels and servers.

Each task, channel and server belongs to the test in whose context it was made, which is that of its fixtures of
function scope too. What fixtures of a wider scope make belongs to nobody, and is looked for when the session ends.
"""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import grpc

NOBODY = ""
# What was cancelled or closed a moment ago may still be at its end. Only a test that leaves something waits so long.
SETTLE_S = 10.0

_owner: ContextVar[str] = ContextVar("owner", default=NOBODY)


class Ledger:
    """Who made what. Its `make_task` is to be the loop's task factory."""

    def __init__(self) -> None:
        self._tasks: WeakKeyDictionary[asyncio.Task[Any], str] = WeakKeyDictionary()
        self._channels: defaultdict[str, list[grpc.aio.Channel]] = defaultdict(list)
        self._servers: defaultdict[str, list[grpc.aio.Server]] = defaultdict(list)

    def make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **more: Any,
    ) -> asyncio.Task[Any]:
        """A task that belongs to the test in whose context it is made."""
        task = asyncio.Task(coroutine, loop=loop, **more)
        self._tasks[task] = _owner.get()
        return task

    @contextmanager
    def recording_grpc(self) -> Iterator[None]:
        """Within the block, the channels and servers of grpc.aio are recorded too."""
        makers: dict[str, defaultdict[str, list[Any]]] = {
            "insecure_channel": self._channels,
            "secure_channel": self._channels,
            "server": self._servers,
        }
        originals = {name: getattr(grpc.aio, name) for name in makers}
        for name, made in makers.items():
            setattr(grpc.aio, name, _recording(originals[name], made))
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(grpc.aio, name, original)

    async def settle(self, owner: str, within_s: float = SETTLE_S) -> list[str]:
        """What the owner left behind and what does not end by itself; it is ended here, so that no later test meets it.

        Servers come first: a task of a running server that is cancelled gives memory back into which gRPC still writes.
        """
        channels, servers = self._channels.pop(owner, []), self._servers.pop(owner, [])
        tasks = await self._pending(owner, within_s)
        left = [f"a channel that is not closed: {channel!r}" for channel in channels if _is_open(channel)]
        left += [f"a task that does not end: {task!r}" for task in tasks]
        if left:
            for server in servers:
                await server.stop(None)
            for channel in channels:
                await channel.close()
            await _cancel(tasks)
        return left

    async def _pending(self, owner: str, within_s: float) -> list[asyncio.Task[Any]]:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while tasks := self._of(owner):
                    # A task that ends may have made others.
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return self._of(owner)

    def _of(self, owner: str) -> list[asyncio.Task[Any]]:
        # The loop runs the fixtures and the tests themselves as tasks, of which this is one.
        running = asyncio.current_task()
        return [task for task in asyncio.all_tasks() if task is not running and self._tasks.get(task) == owner]


def own(nodeid: str) -> None:
    """From here on, what this context makes belongs to that test."""
    _owner.set(nodeid)


def _recording(make: Callable[..., Any], made: defaultdict[str, list[Any]]) -> Callable[..., Any]:
    @functools.wraps(make)
    def record(*arguments: Any, **more: Any) -> Any:
        thing = make(*arguments, **more)
        made[_owner.get()].append(thing)
        return thing

    return record


def _is_open(channel: grpc.aio.Channel) -> bool:
    return channel.get_state() is not grpc.ChannelConnectivity.SHUTDOWN


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=SETTLE_S)
