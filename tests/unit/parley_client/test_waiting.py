"""Waiting for a condition with a deadline."""

from __future__ import annotations

import asyncio

import pytest

from parley_client.waiting import Changes, DeadlineMissedError, StallTimer


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


async def test_a_wait_that_counts_goes_on_as_long_as_its_count_does() -> None:
    changes, count = Changes(), [0]
    waiter = asyncio.create_task(changes.until(lambda: count[0] == 40, 2, "forty", lambda: count[0]))
    while count[0] < 40:
        # Together this takes longer than nothing may move.
        await asyncio.sleep(0.1)
        count[0] += 1
        changes.notify()
    await waiter


async def test_a_wait_whose_count_stands_still_ends_and_says_what_it_saw_last() -> None:
    changes, count = Changes(), [0]
    waiter = asyncio.create_task(changes.until(lambda: count[0] == 3, 0.2, "three", lambda: count[0]))
    await asyncio.sleep(0)
    count[0] = 2
    while not waiter.done():
        # That others move is no progress of this wait.
        changes.notify()
        await asyncio.sleep(0.01)
    with pytest.raises(DeadlineMissedError, match=r"three: nothing moved for 0\.2 s; last seen: 2"):
        await waiter


def test_what_is_still_is_timed_from_its_last_change() -> None:
    timer = StallTimer("a", now_s=10.0)
    assert timer.stalled_s("a", now_s=13.0) == 3.0
    assert timer.stalled_s("b", now_s=14.0) == 0.0
    assert timer.stalled_s("b", now_s=15.0) == 1.0
    assert timer.seen == "b"


async def test_a_listener_is_called_once_a_burst_until_its_subscription_ends() -> None:
    changes, calls = Changes(), [0, 0]

    def count(which: int) -> None:
        calls[which] += 1

    end = changes.subscribe(lambda: count(0))
    changes.subscribe(lambda: count(1))
    for _ in range(3):
        changes.notify()
    assert calls == [0, 0]
    await asyncio.sleep(0)
    assert calls == [1, 1]
    end()
    end()
    changes.notify()
    await asyncio.sleep(0)
    assert calls == [1, 2]
