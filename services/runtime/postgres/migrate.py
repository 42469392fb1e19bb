"""`parley-migrate <service>`: applies a service's migrations and ends.

For a job before a rollout, so that a migration that fails stops it while the old replicas still serve. The services do
the same at their start.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TypeVar

import asyncpg
import structlog

from services.runtime.config import DatabaseConfig, LogConfig
from services.runtime.env import ConfigError, EnvReader
from services.runtime.observability import logs
from services.runtime.observability.failures import describe
from services.runtime.postgres.migrations import FaultyMigration, migrate
from services.runtime.postgres.refusals import passes
from services.runtime.restarts import next_pause_s

log = structlog.get_logger()

SERVICES = Path(__file__).parents[2]
# The longest time of one statement. Raising it lets a migration that waits for a lock hold up the rollout; lowering it
# keeps a large one from ending.
STATEMENT_TIMEOUT_S = 600
# For how long a database is waited for that is not up, or not reached yet: Kubernetes starts a pod before all nodes
# know its address, and until then the network policy keeps it out. Raising it: a rollout without a database stands
# for longer before it is told. Lowering it: the Job's pod fails and is started again for what passes by itself.
WAIT_S = 300.0

ResultT = TypeVar("ResultT")
Sleep = Callable[[float], Awaitable[None]]


def main(arguments: Sequence[str], env: Mapping[str, str], wait_s: float = WAIT_S) -> int:
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
        applied = asyncio.run(patiently(lambda: _apply(database.url, folders[0]), wait_s))
    except FaultyMigration as error:
        log.error("migrations_failed", service=arguments[0], error=type(error).__name__, message=describe(error))
        return 2
    except (OSError, TimeoutError, RuntimeError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.error("migrations_failed", service=arguments[0], error=type(error).__name__, message=describe(error))
        return 1
    log.info("migrations_applied", service=arguments[0], applied=applied)
    return 0


async def patiently(
    attempt: Callable[[], Awaitable[ResultT]],
    wait_s: float,
    now_s: Callable[[], float] = monotonic,
    sleep: Sleep = asyncio.sleep,
) -> ResultT:
    """Try until it succeeds. What does not pass by itself is raised at once, and what does once `wait_s` is over."""
    ends_s = now_s() + wait_s
    pause_s = 0.0
    while True:
        try:
            return await attempt()
        except Exception as error:
            pause_s = next_pause_s(pause_s, 0)
            if not passes(error) or now_s() + pause_s > ends_s:
                raise
            log.warning("database_unavailable", error=type(error).__name__, message=describe(error), retry_s=pause_s)
        await sleep(pause_s)


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
