"""Waiting for a condition with a deadline."""

from __future__ import annotations

import asyncio

import pytest

from loadtests.headless.waiting import Changes, DeadlineMissedError


async def test_a_waiter_goes_on_when_the_condition_comes_true() -> None:
    changes, values = Changes(), [0]
    waiter = asyncio.create_task(changes.until(lambda: values[0] == 2, 10, "two"))
    for value in (1, 2):
        await asyncio.sleep(0)
        values[0] = value
        changes.notify()
    await waiter


async def test_a_condition_that_holds_already_returns_at_once() -> None:
    await Changes().until(lambda: True, 10, "nothing")


async def test_a_missed_deadline_says_what_was_waited_for() -> None:
    with pytest.raises(DeadlineMissedError, match=r"the ring: not within 0\.01 s"):
        await Changes().until(lambda: False, 0.01, "the ring")


async def test_a_waiter_that_gave_up_does_not_hinder_the_others() -> None:
    changes, done = Changes(), [False]
    first = asyncio.create_task(changes.until(lambda: done[0], 10, "first"))
    second = asyncio.create_task(changes.until(lambda: done[0], 10, "second"))
    await asyncio.sleep(0)
    first.cancel()
    done[0] = True
    changes.notify()
    await second
    assert first.cancelled() or first.cancelling()
