"""The command that a Job runs before a rollout: it waits for a database that it does not reach yet.

So it is where network policies are enforced: a pod runs before all nodes know its address, and is refused until then.
"""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

from services.messaging.wiring import MIGRATIONS


async def test_a_database_that_is_reached_later_is_migrated_by_the_same_process(
    database_url: str, tmp_path: Path
) -> None:
    (sockets,) = parse_qs(urlsplit(database_url).query)["host"]
    # Nothing is there yet.
    later = tmp_path / "socket"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.runtime.postgres.migrate",
        "messaging",
        env={**os.environ, "PARLEY_DATABASE_URL": database_url.replace(sockets, str(later))},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    assert b"database_unavailable" in await process.stderr.readline()
    later.symlink_to(sockets)
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        applied = [row["name"] for row in await pool.fetch("SELECT name FROM schema_migrations ORDER BY name")]
    assert applied == sorted(path.name for path in MIGRATIONS.glob("*.sql"))
