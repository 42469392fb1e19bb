"""The shared time: what a step of this host's clock, and a database that is away, do to it."""

from datetime import timedelta
from pathlib import Path

import pytest

from services.runtime.clock import CLOCK_SKEW_S
from services.runtime.config import DatabaseConfig
from services.runtime.postgres.database import Database
from services.runtime.postgres.store_clock import StoreClock
from services.signaling.core import grants
from tests.support.clock import ManualClock


def store_clock(own: ManualClock) -> StoreClock:
    return StoreClock(Database(DatabaseConfig("postgresql://nowhere", 1), Path("none")), own)


@pytest.mark.parametrize("by_s", [-3600, 3600])
def test_a_step_of_the_hosts_clock_changes_nothing(by_s: int) -> None:
    own = ManualClock()
    clock, began = store_clock(own), own.now()
    own.step(by_s)
    assert clock.now() == began
    own.advance(60)
    assert clock.now() == began + timedelta(seconds=60)
    assert clock.monotonic() == own.monotonic()


@pytest.mark.parametrize("by_s", [-3600, 3600])
def test_hosts_whose_clocks_differ_agree_once_they_asked(by_s: int) -> None:
    right, wrong = ManualClock(), ManualClock()
    wrong.step(by_s)
    clocks = [store_clock(right), store_clock(wrong)]
    told = right.now() + timedelta(seconds=2)
    for clock in clocks:
        clock.learn(told, 0.0, 0.0)
    right.advance(30)
    wrong.advance(30)
    assert [clock.now() for clock in clocks] == [told + timedelta(seconds=30)] * 2


async def test_a_database_that_is_away_leaves_the_time_going_on() -> None:
    own = ManualClock()
    clock = store_clock(own)
    assert not await clock.ask()
    own.advance(5)
    assert clock.now() == own.now()


def test_the_leeway_is_one_value() -> None:
    assert timedelta(seconds=CLOCK_SKEW_S) == grants.LEEWAY
