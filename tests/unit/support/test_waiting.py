"""Waiting with patience: a wait ends when nothing moves, and says what it waited for and what it saw last."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.support.waiting import eventually, poll, until


async def test_a_wait_that_counts_goes_on_as_long_as_its_count_does() -> None:
    looks = itertools.count()
    seen: list[int] = []

    def enough() -> bool:
        seen.append(next(looks))
        return len(seen) > 60

    # Sixty looks take longer than nothing may move.
    await until(enough, within_s=0.5, progress=lambda: len(seen))


async def test_a_wait_that_stands_still_says_what_it_waited_for_and_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match=r"three rings: nothing moved for 0\.\d s; last seen: 2"):
        await until(lambda: False, within_s=0.05, what="three rings", progress=lambda: 2)
    with pytest.raises(AssertionError, match=r"a ring: nothing moved for 0\.\d s; last seen: \[\]"):
        await until(list, within_s=0.05, what="a ring")


async def test_a_question_that_is_never_answered_is_given_up() -> None:
    async def never() -> bool:
        await asyncio.Event().wait()
        return True

    with pytest.raises(AssertionError, match="the answer: no answer for"):
        await eventually(never, 0.05, what="the answer")


async def test_an_error_of_the_question_itself_is_not_taken_for_silence() -> None:
    async def fails() -> bool:
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        await eventually(fails)


def test_a_wait_for_another_process_ends_with_its_failure() -> None:
    with pytest.raises(AssertionError, match="the stack did not start"):
        poll(lambda: False, 0.05, lambda: "the stack did not start")
