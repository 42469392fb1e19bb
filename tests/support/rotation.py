"""Load that goes on all through a rotation, and replicas that are replaced under it as Kubernetes replaces pods."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar

from tests.support.waiting import PATIENCE_S, until

ReplicaT = TypeVar("ReplicaT")
# Several, so that a replica needs more than one connection.
WORKERS = 3
PAUSE_S = 0.003
# What a step must let pass, of each worker.
REQUESTS_A_STEP = 5


class Serving(Generic[ReplicaT]):
    """The one replica that requests are sent to."""

    def __init__(self, first: ReplicaT) -> None:
        self.current = first
        self._running: Counter[int] = Counter()

    @contextmanager
    def one(self) -> Iterator[ReplicaT]:
        """The replica for one request."""
        replica = self.current
        self._running[id(replica)] += 1
        try:
            yield replica
        finally:
            self._running[id(replica)] -= 1

    async def replace(self, following: ReplicaT) -> ReplicaT:
        """Send requests to `following`, which must be ready. Returns the one before, after its last request."""
        before, self.current = self.current, following
        await until(lambda: not self._running[id(before)], what="the last request of the replica before")
        return before


class Load:
    """Requests without an end. `refused` holds what became of those that failed."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._answered = [0] * WORKERS
        self.refused: list[str] = []
        self._step = "the start"
        self._ends = False

    async def goes_on(self, step: str) -> None:
        """Return when each worker was answered several times after this step. Raises AssertionError for a refusal."""
        self._step = step
        # The request that runs now may have been answered before the step.
        wanted = [answered + 1 + REQUESTS_A_STEP for answered in self._answered]
        await until(
            lambda: self.refused or all(have >= want for have, want in zip(self._answered, wanted, strict=True)),
            what=f"requests after {step}",
            progress=lambda: sum(self._answered),
        )
        assert not self.refused, self.refused[:5]

    def end(self) -> None:
        """Each worker ends after the request that it makes now, however that ends."""
        self._ends = True

    async def work(self, worker: int) -> None:
        """One worker."""
        while not self._ends:
            try:
                await self._ask()
            except Exception as error:
                self.refused.append(f"after {self._step}: {error!r} (by {error.__cause__!r})")
            else:
                self._answered[worker] += 1
            await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def load(ask: Callable[[], Awaitable[object]]) -> AsyncIterator[Load]:
    """Asks again and again in the block. Raises AssertionError at its end if a request was refused."""
    made = Load(ask)
    workers = [asyncio.create_task(made.work(number)) for number in range(WORKERS)]
    try:
        await made.goes_on("the start")
        yield made
    finally:
        made.end()
        _, hanging = await asyncio.wait(workers, timeout=PATIENCE_S)
        for worker in hanging:
            worker.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
    assert not hanging, "a request that was never answered"
    assert not made.refused, made.refused[:5]
