"""Ends media in the background, so that nobody who hangs up waits for an SFU worker."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog

from services.runtime import tasks
from services.signaling.core.errors import MediaUnavailable
from services.signaling.core.model import CallId, DeviceId, UserId, Worker
from services.signaling.ports import MediaWorkers

log = structlog.get_logger()

# Ended calls whose worker has not been told yet. Raising it takes more memory while workers are away; lowering it
# leaves more workers to notice the end by themselves, as they do when the queue is full.
CLOSE_QUEUE_SIZE = 1_000
CLOSE_ATTEMPTS = 5
CLOSE_BACKOFF_S = 0.2
CLOSE_TASKS = 4


class BackgroundCloser:
    """See ports.MediaCloser: a bounded queue and a few tasks that try a bounded number of times."""

    name = "media-closer"

    def __init__(self, media: MediaWorkers) -> None:
        self._media = media
        self._queue: asyncio.Queue[_Ending] = asyncio.Queue(CLOSE_QUEUE_SIZE)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [
            tasks.keep(f"media-closer-{number}", self._run, label="media-closer") for number in range(CLOSE_TASKS)
        ]

    async def stop(self) -> None:
        await tasks.stop(*self._tasks)

    def close(self, worker: Worker, call_id: CallId) -> None:
        """See ports.MediaCloser."""
        self._put(_Ending(worker, call_id, partial(self._media.end_call, worker, call_id)))

    def remove(
        self, worker: Worker, call_id: CallId, user_id: UserId, device_id: DeviceId, after_s: float = 0.0
    ) -> None:
        """See ports.MediaCloser."""
        ending = _Ending(worker, call_id, partial(self._media.remove, worker, call_id, user_id, device_id))
        if after_s:
            asyncio.get_running_loop().call_later(after_s, self._put, ending)
        else:
            self._put(ending)

    def _put(self, ending: "_Ending") -> None:
        try:
            self._queue.put_nowait(ending)
        except asyncio.QueueFull:
            log.warning("media_close_dropped", call_id=ending.call_id, worker_id=ending.worker.worker_id)

    async def _run(self) -> None:
        while True:
            await _carry_out(await self._queue.get())


@dataclass(frozen=True)
class _Ending:
    """Media that a worker is to be told to end."""

    worker: Worker
    call_id: CallId
    end: Callable[[], Awaitable[None]]


async def _carry_out(ending: _Ending) -> None:
    reason = ""
    for attempt in range(CLOSE_ATTEMPTS):
        try:
            return await ending.end()
        except MediaUnavailable as error:
            reason = str(error)
        if attempt + 1 < CLOSE_ATTEMPTS:
            await asyncio.sleep(CLOSE_BACKOFF_S * 2**attempt)
    log.warning("media_close_failed", call_id=ending.call_id, worker_id=ending.worker.worker_id, reason=reason)
    return None
