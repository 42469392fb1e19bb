"""Numbered migrations, under a lock that all replicas share."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

import asyncpg
import structlog

from services.runtime import tasks
from services.runtime.observability.failures import named
from services.runtime.postgres.refusals import passes

log = structlog.get_logger()

# Any fixed number serves; it only has to be the same in all replicas.
_LOCK = 0x7061726C6579
_WITHIN_S = 3600.0


class FaultyMigration(tasks.Fatal):
    """A migration that can never be applied as it stands. The process ends: it must not serve on another schema."""


async def migrate(pool: asyncpg.Pool, folder: Path) -> list[str]:
    """Apply the numbered files (`0001_name.sql`) that are not applied yet, in order, each in a transaction.

    Safe to run from many replicas at once (advisory lock) and again (idempotent). Returns the names of what it applied.
    Raises FaultyMigration when a file that was applied has changed since, or is refused for what stands in it; what
    passes (refusals.py) is raised as it is.
    """
    applied: list[str] = []
    files = await asyncio.to_thread(lambda: sorted(folder.glob("[0-9]*.sql")))
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        try:
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations"
                " (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            known = {row["name"]: row["sha256"] for row in await connection.fetch("SELECT * FROM schema_migrations")}
            for path in files:
                sql = path.read_text()
                digest = hashlib.sha256(sql.encode()).hexdigest()
                if known.get(path.name, digest) != digest:
                    raise FaultyMigration(f"migration {path.name} was applied and has changed since")
                if path.name not in known:
                    await _apply(connection, path.name, sql, digest)
                    applied.append(path.name)
                    log.info("migration_applied", migration=path.name)
        finally:
            # A connection that broke has let go of it already, and must not hide why.
            with suppress(Exception):
                await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return applied


async def _apply(connection: asyncpg.pool.PoolConnectionProxy, name: str, sql: str, digest: str) -> None:
    try:
        async with connection.transaction():
            # Longer than a statement of the service may take: it may fill a new table from a large one.
            await connection.execute(sql, timeout=_WITHIN_S)
            await connection.execute("INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", name, digest)
    except asyncpg.PostgresError as error:
        if passes(error):
            raise
        raise FaultyMigration(f"migration {name} is refused: {named(error)}") from error
