"""Replicas whose hosts' clocks are an hour apart, on one PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from services.messaging.wiring import MIGRATIONS
from services.runtime.config import DatabaseConfig
from services.runtime.postgres.database import Database
from services.runtime.postgres.store_clock import StoreClock
from tests.support.clock import ManualClock
from tests.support.db import connected


@pytest.mark.parametrize("by_s", [-3600, 3600])
async def test_a_host_whose_clock_is_an_hour_off_goes_by_the_databases(database_url: str, by_s: int) -> None:
    own = ManualClock(datetime.now(UTC) + timedelta(seconds=by_s))
    async with connected(Database(DatabaseConfig(database_url, pool_size=2), MIGRATIONS)) as database:
        clock = StoreClock(database, own)
        before = datetime.now(UTC)
        assert await clock.ask()
        assert before <= clock.now() <= datetime.now(UTC)
