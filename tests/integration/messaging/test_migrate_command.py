"""The command that a Job runs before a rollout: it waits for a database that it does not reach yet.

So it is where network policies are enforced: a pod runs before all nodes know its address, and is refused until then.
"""

import asyncio
import os
import sys
from urllib.parse import urlsplit

import asyncpg

from services.messaging.wiring import MIGRATIONS
from tests.support.faulty import Fault, faulty_server
from tests.support.waiting import until


async def test_a_database_behind_a_policy_that_comes_late_is_migrated_by_the_first_pod(database_url: str) -> None:
    url = urlsplit(database_url)
    assert url.hostname
    assert url.port
    async with faulty_server(Fault.RESET, (url.hostname, url.port)) as policy:
        behind = database_url.replace(f"{url.hostname}:{url.port}", policy.address)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.runtime.postgres.migrate",
            "messaging",
            env={**os.environ, "PARLEY_DATABASE_URL": behind, "PARLEY_LOG_FORMAT": "json"},
            stderr=asyncio.subprocess.PIPE,
        )
        await until(lambda: policy.connections >= 2, what="a second attempt", progress=lambda: policy.connections)
        policy.fault = None
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"database_unavailable" in said
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        applied = [row["name"] for row in await pool.fetch("SELECT name FROM schema_migrations ORDER BY name")]
    assert applied == sorted(path.name for path in MIGRATIONS.glob("*.sql"))
