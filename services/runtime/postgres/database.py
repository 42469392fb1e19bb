"""A pool of PostgreSQL connections that comes and goes with the server, and numbered migrations."""

import asyncio
import hashlib
from asyncio import BaseTransport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from asyncpg.connect_utils import SessionAttribute

from services.runtime import tasks
from services.runtime.config import DatabaseConfig
from services.runtime.errors import StatementCutOff, StoreUnavailable
from services.runtime.observability.failures import named
from services.runtime.postgres.refusals import READ_ONLY, may_be_of_one, passes
from services.runtime.sockets import find_dead_peer

log = structlog.get_logger()

Connection = asyncpg.pool.PoolConnectionProxy
# Any fixed number serves; it only has to be the same in all replicas.
_MIGRATION_LOCK = 0x7061726C6579
_MIGRATION_WITHIN_S = 3600.0
# What serves others answers within it. As readiness does (lifecycle.py).
_ASK_WITHIN_S = 8.0
# After so long in the middle of a transaction without a statement, the server ends it. Otherwise a replica that is
# stopped, or whose host or network is gone, holds its locks (the outbox's shards, rows) until TCP gives up, by default
# after two hours. Raising it makes the others wait longer for those locks; lowering it below what the broker may take
# to acknowledge (10 s) makes the outbox give up what would have come.
IDLE_TRANSACTION_S = 15.0
# Of one statement, to its answer. Raising it makes callers wait longer for a server that is gone; lowering it cuts off
# what merely waits for a lock.
STATEMENT_WITHIN_S = 10.0

# Our statements take arrays or whole keys: a plan made for the very values is never better, and to plan the joins over
# the partitions of `messages` takes longer than to run them.
_SERVER_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    # A peer that is gone without a word is noticed after 11 s, whatever its session was about to do.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}


# Where nothing can be written, it fails as a write would: a demoted primary answers every other question.
_REFUSE_READ_ONLY = (
    "DO $$ BEGIN IF current_setting('transaction_read_only')::bool"
    " THEN RAISE read_only_sql_transaction USING MESSAGE = 'the server is read-only'; END IF; END $$"
)


class _PooledConnection(asyncpg.Connection):
    def __init__(self, protocol: Any, transport: BaseTransport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        # Else each use of one whose server is gone waits for the limit of a statement, one connection after the other.
        find_dead_peer(transport)

    async def _cleanup_stmts(self) -> None:
        # What the library closes behind the back of a statement, it waits for without end: on a server that is gone, a
        # consumer or a lane of the outbox stood still for good, and told nobody.
        try:
            async with asyncio.timeout(STATEMENT_WITHIN_S):
                await super()._cleanup_stmts()  # type: ignore[misc]  # of the library alone
        except TimeoutError:
            self.terminate()
            raise

    def get_reset_query(self) -> str:
        # Nothing of ours outlives a transaction (locks and settings are of the transaction), so that there is nothing
        # to reset; the usual query would be a round trip at every release, and every commit would wait for it.
        return ""


class Database:
    """The service's database: connects in the background, so that a service starts and lives without PostgreSQL.

    Readiness tells when it is there; until then each use raises StoreUnavailable.
    """

    name = "database"

    def __init__(
        self,
        config: DatabaseConfig,
        migrations: Path,
        *,
        essential: bool = True,
        idle_transaction_s: float = IDLE_TRANSACTION_S,
    ) -> None:
        self.essential = essential
        idle_ms = str(round(idle_transaction_s * 1000))
        self._settings = {**_SERVER_SETTINGS, "idle_in_transaction_session_timeout": idle_ms}
        self._config = config
        self._migrations = migrations
        self._pool: asyncpg.Pool | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._connecting = tasks.retry("database-connect", self._connect)

    async def wait_connected(self) -> None:
        """Return when the database has been reached and migrated. Raises FaultyMigration."""
        if self._connecting:
            await asyncio.shield(self._connecting)

    async def stop(self) -> None:
        await tasks.stop(self._connecting)
        if self._pool:
            try:
                async with asyncio.timeout(3):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

    async def ready(self) -> bool:
        """Whether PostgreSQL answers, and takes what is written."""
        try:
            async with self.connection() as connection:
                await connection.execute(_REFUSE_READ_ONLY)
        except StoreUnavailable:
            return False
        return True

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool.

        Errors: StoreUnavailable when PostgreSQL is away or goes away; of it StatementCutOff, when a statement was under
        way that may be at fault itself.
        """
        if self._pool is None:
            raise StoreUnavailable("the database is not connected yet")
        pool = self._pool
        was_reached = False
        try:
            async with pool.acquire(timeout=5) as connection:
                was_reached = True
                yield connection
        except Exception as error:
            if not passes(error):
                raise
            if getattr(error, "sqlstate", None) == READ_ONLY:
                # It was demoted under us: each connection is made anew before its next use, to whoever is primary then.
                await pool.expire_connections()
            if was_reached and may_be_of_one(error):
                raise StatementCutOff(_why(error), self._serves_others) from error
            raise StoreUnavailable(_why(error)) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A READ COMMITTED transaction; commits on leaving, rolls back on an exception."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def transaction_from(self, first: str) -> AsyncIterator[Connection]:
        """As `transaction`, with a first statement that goes out together with BEGIN: one round trip less.

        `first` takes no parameters and its rows are not returned: a lock, a setting. It must hold nothing of a caller.
        The block may commit with its last statement (`…; COMMIT`), which is another one less.
        """
        async with self.connection() as connection:
            try:
                await connection.execute(f"BEGIN; {first}")
                yield connection
            except BaseException:
                try:
                    await connection.execute("ROLLBACK")
                except Exception:
                    # Else the pool would wait for the same once more. It is idempotent on one that is broken.
                    connection.terminate()
                raise
            if connection.is_in_transaction():
                await connection.execute("COMMIT")

    async def _serves_others(self) -> bool:
        try:
            async with asyncio.timeout(_ASK_WITHIN_S):
                return await self.ready()
        except Exception:
            # Whoever cannot even answer that is away.
            return False

    async def _connect(self) -> None:
        delay_s = 0.1
        while True:
            try:
                self._pool = await self._open()
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("database_unavailable", error=type(error).__name__, reason=_why(error), retry_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 2.0)
            else:
                log.info("database_connected")
                return

    async def _open(self) -> asyncpg.Pool:
        pool: asyncpg.Pool = await asyncpg.create_pool(
            self._config.url,
            connection_class=_PooledConnection,
            server_settings=self._settings,
            min_size=1,
            max_size=self._config.pool_size,
            command_timeout=STATEMENT_WITHIN_S,
            timeout=5,
            # Of several hosts the primary, and never a server that only reads.
            target_session_attrs=SessionAttribute.read_write,
        )
        try:
            await migrate(pool, self._migrations)
        except BaseException:
            # Else each attempt would leave a connection behind.
            pool.terminate()
            raise
        return pool


def _why(error: BaseException) -> str:
    code = getattr(error, "sqlstate", None) or ""
    return f"the database does not serve this now: {type(error).__name__} {code}".rstrip()


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
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
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
                await connection.execute("SELECT pg_advisory_unlock($1)", _MIGRATION_LOCK)
    return applied


async def _apply(connection: Connection, name: str, sql: str, digest: str) -> None:
    try:
        async with connection.transaction():
            # Longer than a statement of the service may take: it may fill a new table from a large one.
            await connection.execute(sql, timeout=_MIGRATION_WITHIN_S)
            await connection.execute("INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", name, digest)
    except asyncpg.PostgresError as error:
        if passes(error):
            raise
        raise FaultyMigration(f"migration {name} is refused: {named(error)}") from error
