"""A pool of PostgreSQL connections that comes and goes with the server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import structlog
from asyncpg.connect_utils import SessionAttribute

from services.runtime import tasks
from services.runtime.config import DatabaseConfig
from services.runtime.errors import StatementCutOff, StoreUnavailable
from services.runtime.postgres.connections import STATEMENT_WITHIN_S, PooledConnection
from services.runtime.postgres.migrations import migrate
from services.runtime.postgres.refusals import READ_ONLY, may_be_of_one, passes

log = structlog.get_logger()

Connection = asyncpg.pool.PoolConnectionProxy
# What serves others answers within it. As readiness does (lifecycle.py).
_ASK_WITHIN_S = 8.0
# After so long in the middle of a transaction without a statement, the server ends it. Otherwise a replica that is
# stopped, or whose host or network is gone, holds its locks (the outbox's shards, rows) until TCP gives up, by default
# after two hours. Raising it makes the others wait longer for those locks; lowering it below what the broker may take
# to acknowledge (10 s) makes the outbox give up what would have come.
IDLE_TRANSACTION_S = 15.0
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
            connection_class=PooledConnection,
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
