"""Waiting for a condition instead of sleeping for a guess. The one notion of patience of all tests in Python."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from parley_client.waiting import Progress, StallTimer, no_progress

# How long nothing may move until a wait is given up. A wait that counts (`progress`) may last far longer, as long as
# the count goes on; one without a count ends after this time. Raising it: what hangs is found later. Lowering it: a
# machine that others use too looks like one that hangs. tests/e2e/waiting.mjs has the same for scenarios in browsers.
PATIENCE_S = 90.0
# Between two looks: a share of what has been waited so far, within bounds, since a look may be an RPC, or a whole log.
# Raising the share, or the most: what has come is seen later. Lowering it: a long wait keeps a core busy with looking.
PAUSE_SHARE = 0.05
LEAST_PAUSE_S, MOST_PAUSE_S = 0.01, 0.1

T = TypeVar("T")


class _Wait:
    """One wait: when it is to be given up, and what is said then. `progress` as `until` has it."""

    def __init__(self, what: str, progress: Progress, patience_s: float) -> None:
        self._what = what
        self._progress = progress
        self._patience_s = patience_s
        self._began_s = time.monotonic()
        self._timer = StallTimer(progress(), self._began_s)

    def pause_s(self) -> float:
        """How long until the next look."""
        return min(MOST_PAUSE_S, max(LEAST_PAUSE_S, PAUSE_SHARE * (time.monotonic() - self._began_s)))

    def look(self, value: object) -> None:
        """Raises AssertionError once nothing has moved for too long. `value` is what the condition has just given."""
        stalled_s = self._timer.stalled_s(self._progress(), time.monotonic())
        if stalled_s > self._patience_s:
            seen = value if self._timer.seen is None else self._timer.seen
            raise AssertionError(f"{self._what}: nothing moved for {stalled_s:.1f} s; last seen: {seen!r}")


async def within(awaited: Awaitable[T], seconds: float = PATIENCE_S) -> T:
    """What it gives. Raises TimeoutError.

    Not `asyncio.wait_for`: in Python 3.11 that swallows a cancellation which comes together with the result, so that a
    task which reads again and again cannot be ended.
    """
    async with asyncio.timeout(seconds):
        return await awaited


async def until(
    condition: Callable[[], object],
    *,
    within_s: float = PATIENCE_S,
    what: str = "the condition",
    progress: Progress = no_progress,
) -> None:
    """Return as soon as the condition is true. Raises AssertionError once nothing has moved for `within_s` seconds.

    `progress` gives what moves on the way: a value that can change only so often, such as a count up to what is waited
    for. Without it nothing moves until the condition is true.
    """
    wait = _Wait(what, progress, within_s)
    while not (value := condition()):
        wait.look(value)
        await asyncio.sleep(wait.pause_s())


async def eventually(
    holds: Callable[[], Awaitable[object]],
    deadline_s: float = PATIENCE_S,
    *,
    what: str = "the condition",
    progress: Progress = no_progress,
) -> None:
    """`until` for a condition that has to be asked for. One that does not answer at all is given up likewise."""
    wait = _Wait(what, progress, deadline_s)
    while not (value := await _answer(holds, what, deadline_s)):
        wait.look(value)
        await asyncio.sleep(wait.pause_s())


async def _answer(holds: Callable[[], Awaitable[object]], what: str, patience_s: float) -> object:
    try:
        async with asyncio.timeout(patience_s) as limit:
            return await holds()
    except TimeoutError:
        if not limit.expired():
            raise
        raise AssertionError(f"{what}: no answer for {patience_s:g} s to whether it holds") from None


def poll(
    condition: Callable[[], object],
    within_s: float,
    failure: Callable[[], str],
    progress: Progress = no_progress,
) -> None:
    """`until` for tests without an event loop, that wait for other processes. `failure` is asked only in the end."""
    wait = _Wait("waited", progress, within_s)
    while not (value := condition()):
        try:
            wait.look(value)
        except AssertionError as given_up:
            raise AssertionError(f"{failure()}\n{given_up}") from None
        # Another process's doing sets no event here.
        time.sleep(wait.pause_s())
