"""Runs rounds in the background: of one call one at a time, and however often it is noted meanwhile, one more."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.runtime import tasks
from services.runtime.errors import StoreUnavailable
from services.signaling.core.model import CallId

log = structlog.get_logger()

# Calls that wait. Raising it takes more memory; lowering it leaves more to the sweep.
QUEUE_SIZE = 1_000
# Rounds at once. Raising it asks more workers at a time; lowering it lets calls wait for one whose worker is slow.
ROUND_TASKS = 4


class BackgroundRounds:
    """See ports.RelayRounds."""

    name = "relay-rounds"

    def __init__(self, tell: Callable[[CallId], Awaitable[object]]) -> None:
        self._tell = tell
        self._queue: asyncio.Queue[CallId] = asyncio.Queue(QUEUE_SIZE)
        self._waiting: set[CallId] = set()
        # Those of which a round runs, and of these which are to have one more.
        self._running: dict[CallId, bool] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [
            tasks.keep(f"relay-rounds-{number}", self._run, label="relay-rounds") for number in range(ROUND_TASKS)
        ]

    async def stop(self) -> None:
        await tasks.stop(*self._tasks)

    def note(self, call_id: CallId) -> None:
        """See ports.RelayRounds."""
        if call_id in self._running:
            self._running[call_id] = True
        elif call_id not in self._waiting:
            try:
                self._queue.put_nowait(call_id)
            except asyncio.QueueFull:
                log.warning("relay_round_dropped", call_id=call_id)
            else:
                self._waiting.add(call_id)

    async def _run(self) -> None:
        while True:
            call_id = await self._queue.get()
            self._waiting.discard(call_id)
            self._running[call_id] = False
            try:
                await self._tell(call_id)
            except StoreUnavailable:
                # The sweep finds the call when the store is back.
                log.warning("relay_round_missed", call_id=call_id)
            except Exception:
                log.exception("relay_round_failed", call_id=call_id)
            finally:
                is_due = self._running.pop(call_id)
            if is_due:
                self.note(call_id)
