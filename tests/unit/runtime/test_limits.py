"""Buckets by key, and turns: what one takes costs no other anything."""

import asyncio
import random

import pytest

from services.runtime.limits.concurrency import TooManyWaiting, Turns
from services.runtime.limits.token_buckets import Rates


def taken(rates: Rates, key: str, count: int, now_s: float, units: float = 1) -> int:
    return sum(not rates.take(key, now_s, units) for _ in range(count))


def test_a_burst_is_there_at_once_and_then_the_rate_holds() -> None:
    rates = Rates(per_s=10, burst=5)
    assert taken(rates, "alice", 100, 1000.0) == 5
    assert taken(rates, "alice", 100, 1001.0) == 5
    assert taken(rates, "alice", 100, 1001.2) == 2


def test_who_waits_as_long_as_told_is_let_in_and_who_comes_before_is_not() -> None:
    rates = Rates(per_s=10, burst=40)
    taken(rates, "alice", 100, 0.0)
    wait_s = rates.take("alice", 0.0, 7)
    assert wait_s == pytest.approx(0.7)
    assert rates.take("alice", wait_s - 0.01, 7) > 0
    assert rates.take("alice", wait_s, 7) == 0


def test_more_than_a_burst_takes_a_full_bucket() -> None:
    rates = Rates(per_s=10, burst=5)
    assert rates.take("alice", 0.0, 1_000_000) == 0
    assert taken(rates, "alice", 10, 0.0) == 0
    assert rates.take("bob", 0.0, 1) == 0
    assert rates.take("bob", 0.0, 1_000_000) == pytest.approx(0.1)


def test_what_is_owed_is_paid_before_anything_more_is_taken() -> None:
    rates = Rates(per_s=10, burst=5)
    rates.owe("alice", 0.0, 8)
    assert rates.take("alice", 0.0, 1) == pytest.approx(0.4)
    assert rates.take("alice", 0.4, 1) == 0
    assert rates.take("bob", 0.0, 5) == 0


def test_what_is_owed_is_remembered_for_no_more_than_all_may_be() -> None:
    rates = Rates(per_s=1, burst=10, keys=100)
    for number in range(10_000):
        rates.owe(f"account-{number}", 0.0, 1)
        assert len(rates) <= 100


def test_what_costs_nothing_is_always_taken_and_remembers_nobody() -> None:
    rates = Rates(per_s=1, burst=1)
    assert taken(rates, "alice", 1_000, 0.0, units=0) == 1_000
    assert len(rates) == 0


@pytest.mark.parametrize("seed", range(20))
def test_one_who_floods_takes_nothing_from_another_and_no_more_than_theirs(seed: int) -> None:
    chance = random.Random(seed)
    per_s, burst = chance.uniform(1, 300), chance.randint(1, 500)
    rates, alone = Rates(per_s, burst), Rates(per_s, burst)
    now_s, flooded = 0.0, 0.0
    for _ in range(5_000):
        now_s += chance.expovariate(200)
        units = chance.uniform(0, min(burst, 5))
        if not rates.take("flooding", now_s, units):
            flooded += units
        if chance.random() < 0.05:
            assert rates.take("honest", now_s, 1) == pytest.approx(alone.take("honest", now_s, 1))
    assert flooded <= burst + per_s * now_s + 1e-3


def test_many_accounts_do_not_wash_out_who_floods() -> None:
    rates = Rates(per_s=1, burst=10, keys=100)
    assert taken(rates, "flooding", 50, 0.0) == 10
    for number in range(10_000):
        rates.take(f"account-{number}", 0.0)
        assert len(rates) <= 100
    assert taken(rates, "flooding", 50, 0.0) == 0


def test_who_is_owed_nothing_is_forgotten_first() -> None:
    rates = Rates(per_s=1, burst=10, keys=10)
    taken(rates, "flooding", 10, 100.0)
    for number in range(9):
        rates.take(f"early-{number}", 0.0)
    for number in range(5):
        rates.take(f"late-{number}", 100.0)
    assert taken(rates, "flooding", 1, 100.0) == 0
    assert taken(rates, "late-0", 20, 100.0) == 9


async def test_calls_of_one_user_wait_for_their_turn_and_others_pass_by() -> None:
    turns, release, running = Turns(at_once=2, waiting=100), asyncio.Event(), []

    async def call(user: str) -> None:
        async with turns.turn(user):
            running.append(user)
            await release.wait()

    calls = [asyncio.create_task(call("flooding")) for _ in range(50)]
    calls.append(asyncio.create_task(call("honest")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert sorted(running) == ["flooding", "flooding", "honest"]
    release.set()
    await asyncio.gather(*calls)
    assert running.count("flooding") == 50
    assert len(turns) == 0


async def test_a_line_has_an_end_and_who_gives_up_leaves_it() -> None:
    turns, release = Turns(at_once=1, waiting=1), asyncio.Event()

    async def call() -> None:
        async with turns.turn("alice"):
            await release.wait()

    first, second = asyncio.create_task(call()), asyncio.create_task(call())
    await asyncio.sleep(0)
    with pytest.raises(TooManyWaiting):
        await call()
    second.cancel()
    await asyncio.wait([second])
    third = asyncio.create_task(call())
    release.set()
    await asyncio.gather(first, third)
    assert len(turns) == 0
