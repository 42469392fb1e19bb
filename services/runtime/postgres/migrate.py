"""`parley-migrate <service>`: applies a service's migrations and ends.

For a job before a rollout, so that a migration that fails stops it while the old replicas still serve. The services do
the same at their start.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import structlog

from services.runtime.config import DatabaseConfig, LogConfig
from services.runtime.env import ConfigError, EnvReader
from services.runtime.observability import logs
from services.runtime.observability.failures import describe
from services.runtime.postgres.database import migrate

log = structlog.get_logger()

SERVICES = Path(__file__).parents[2]
# The longest time of one statement. Raising it lets a migration that waits for a lock hold up the rollout; lowering it
# keeps a large one from ending.
STATEMENT_TIMEOUT_S = 600


def main(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Returns 0 when everything is applied, 1 when that failed (it may be tried again), 2 for what must be mended."""
    folders = [SERVICES / name / "migrations" for name in arguments if name.isidentifier()]
    if len(arguments) != 1 or not folders or not folders[0].is_dir():
        sys.stderr.write("usage: parley-migrate <a service that has migrations>\n")
        return 2
    reader = EnvReader(env)
    database, log_config = DatabaseConfig.read(reader), LogConfig.read(reader)
    try:
        reader.finish()
    except ConfigError as error:
        sys.stderr.writelines(f"migrate: {problem}\n" for problem in error.problems)
        return 2
    logs.configure(log_config, "migrate")
    try:
        applied = asyncio.run(_apply(database.url, folders[0]))
    except (OSError, TimeoutError, RuntimeError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.error("migrations_failed", service=arguments[0], error=type(error).__name__, message=describe(error))
        return 1
    log.info("migrations_applied", service=arguments[0], applied=applied)
    return 0


async def _apply(url: str, folder: Path) -> list[str]:
    async with asyncpg.create_pool(
        url, min_size=1, max_size=1, command_timeout=STATEMENT_TIMEOUT_S, timeout=10
    ) as pool:
        return await migrate(pool, folder)


def run() -> int:
    """Gives the exit status."""
    return main(sys.argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(run())
