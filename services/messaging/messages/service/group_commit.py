"""Concurrent sends are committed together."""

import asyncio
from collections.abc import Sequence

from services.messaging import metrics
from services.messaging.kernel.errors import Overloaded
from services.messaging.kernel.model import Draft, Message
from services.messaging.messages.ports import MessageStore
from services.runtime.errors import StoreUnavailable

# Sends committed together. Raising it gives more throughput under load; lowering it makes the first of a batch wait
# less.
MAX_COMMIT_BATCH = 64


class GroupCommit:
    """Commits concurrent sends together: while one transaction runs, the next batch gathers.

    A lone send waits for nobody. The queue is bounded: beyond it, Overloaded.
    """

    def __init__(self, store: MessageStore, capacity: int) -> None:
        self._store = store
        self._waiting: asyncio.Queue[tuple[Draft, asyncio.Future[Message]]] = asyncio.Queue(capacity)

    @property
    def waiting(self) -> int:
        """Sends that wait for the next commit."""
        return self._waiting.qsize()

    async def submit(self, draft: Draft) -> Message:
        """The stored message. Errors: Overloaded, StoreUnavailable, and what sequence_drafts refuses."""
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((draft, future))
        except asyncio.QueueFull:
            raise Overloaded("too many sends are waiting") from None
        return await future

    async def run(self) -> None:
        """Commit batches for ever."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MAX_COMMIT_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._commit(batch)

    async def _commit(self, batch: Sequence[tuple[Draft, "asyncio.Future[Message]"]]) -> None:
        metrics.COMMIT_BATCH.observe(len(batch))
        try:
            outcomes: Sequence[Message | BaseException] = await self._store.append([draft for draft, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, StoreUnavailable):
                # One faulty draft must not take the others down.
                for one in batch:
                    await self._commit([one])
                return
            outcomes = [error] * len(batch)
        except BaseException:
            # Nobody else would ever answer them.
            for _, future in batch:
                if not future.done():
                    future.set_exception(StoreUnavailable("the commit was broken off"))
            raise
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
