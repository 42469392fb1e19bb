"""What a real PostgreSQL refuses for a while, at the start of a service and while it runs."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from services.runtime.config import DatabaseConfig
from services.runtime.errors import StoreUnavailable
from services.runtime.lifecycle import App, Probe
from services.runtime.postgres.database import Database
from services.runtime.tasks import Fatal
from tests.support.db import connected
from tests.support.waiting import eventually, until

READ_ONLY = "ALTER DATABASE {name} SET default_transaction_read_only = on"
WRITABLE = "ALTER DATABASE {name} RESET default_transaction_read_only"


class Server:
    """A database of this test's own, with a role of its own, and an operator who may do anything to them."""

    def __init__(self, admin: asyncpg.Connection, url: str) -> None:
        self._admin = admin
        parts = urlsplit(url)
        self.name, self.role = f'"{parts.path[1:]}"', f"role_{secrets.token_hex(4)}"
        host = parts.netloc.rpartition("@")[2]
        self.url = urlunsplit(parts._replace(netloc=f"{self.role}:first@{host}"))

    async def do(self, *statements: str) -> None:
        for statement in statements:
            await self._admin.execute(statement.format(name=self.name, role=self.role))

    async def cut(self) -> None:
        """End all connections of the role, as a restart would."""
        await self._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", self.role
        )


@pytest.fixture
async def server(postgres: str, database_url: str) -> AsyncIterator[Server]:
    admin = await asyncpg.connect(postgres)
    made = Server(admin, database_url)
    await made.do("CREATE ROLE {role} LOGIN PASSWORD 'first'", "ALTER DATABASE {name} OWNER TO {role}")
    try:
        yield made
        await made.cut()
        await made.do(f"ALTER DATABASE {{name}} OWNER TO {await admin.fetchval('SELECT current_user')}")
        owner = await asyncpg.connect(database_url)
        await owner.execute(f"REASSIGN OWNED BY {made.role} TO current_user; DROP OWNED BY {made.role}")
        await owner.close()
        await made.do("DROP ROLE {role}")
    finally:
        await admin.close()


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    (tmp_path / "0001_things.sql").write_text("CREATE TABLE things (id int PRIMARY KEY)")
    return tmp_path


# How an operator, or a failover, makes it refuse, and how it passes.
OUTAGES = {
    "read-only": (READ_ONLY, WRITABLE),
    "nobody may connect": ("ALTER ROLE {role} CONNECTION LIMIT 0", "ALTER ROLE {role} CONNECTION LIMIT -1"),
    "no login": ("ALTER ROLE {role} NOLOGIN", "ALTER ROLE {role} LOGIN"),
    "closed": ("ALTER DATABASE {name} ALLOW_CONNECTIONS false", "ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
    "renamed": ("ALTER DATABASE {name} RENAME TO away_{role}", "ALTER DATABASE away_{role} RENAME TO {name}"),
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_a_start_waits_until_the_refusal_passes(server: Server, migrations: Path, outage: str) -> None:
    breaks, mends = OUTAGES[outage]
    await server.do(breaks)
    database = Database(DatabaseConfig(server.url, pool_size=2), migrations)
    await database.start()
    try:
        with pytest.raises(StoreUnavailable):
            async with database.connection():
                pass
        assert not await database.ready()
        await server.do(mends)
        await eventually(database.ready)
        async with database.connection() as connection:
            assert await connection.fetch("SELECT * FROM things") == []
    finally:
        await database.stop()


@pytest.mark.parametrize("outage", OUTAGES)
async def test_a_running_service_says_so_and_comes_back(server: Server, migrations: Path, outage: str) -> None:
    breaks, mends = OUTAGES[outage]
    async with connected(Database(DatabaseConfig(server.url, pool_size=2), migrations)) as database:

        async def is_broken() -> bool:
            await server.cut()
            try:
                await server.do(breaks)
            except asyncpg.ObjectInUseError:
                return False
            return True

        await eventually(is_broken)

        async def is_refused() -> bool:
            # Also one that was let in just before, and was not there yet to be cut.
            await server.cut()
            try:
                async with database.connection() as connection:
                    await connection.execute("INSERT INTO things VALUES (1)")
            except StoreUnavailable:
                return not await database.ready()
            return False

        await eventually(is_refused)
        await server.do(mends)
        await eventually(database.ready)


async def test_a_demoted_primary_is_left_although_its_connections_live(server: Server, migrations: Path) -> None:
    async with connected(Database(DatabaseConfig(server.url, pool_size=1), migrations)) as database:
        async with database.connection() as connection:
            former = await connection.fetchval("SELECT pg_backend_pid()")
            await connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(StoreUnavailable):
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO things VALUES (1)")
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO things VALUES (1)")
            assert await connection.fetchval("SELECT pg_backend_pid()") != former


async def test_readiness_alone_finds_a_demoted_primary(server: Server, migrations: Path) -> None:
    async with connected(Database(DatabaseConfig(server.url, pool_size=1), migrations)) as database:
        async with database.connection() as connection:
            await connection.execute("SET default_transaction_read_only = on")
        assert not await database.ready()
        assert await database.ready()


async def test_a_rotated_password_does_not_end_the_readiness_watch(server: Server, migrations: Path) -> None:
    database = Database(DatabaseConfig(server.url, pool_size=1), migrations)
    looks = 0

    async def look() -> bool:
        nonlocal looks
        looks += 1
        return True

    app = App([database, Probe("look", look)])
    await app.start()
    try:
        await eventually(database.ready)
        await server.do("ALTER ROLE {role} PASSWORD 'second'")
        await server.cut()
        # Where the server trusts whoever comes from this machine it lets them in with any password.
        await eventually(lambda: _answers(database))
        before = looks
        await until(lambda: looks > before, what="another look of the watch")
        await server.do("ALTER ROLE {role} PASSWORD 'first'")
        await eventually(database.ready)
    finally:
        await app.stop()


async def _answers(database: Database) -> bool:
    await database.ready()
    return True


@pytest.mark.parametrize(
    ("setting", "statement"),
    [
        ("statement_timeout", "SELECT pg_sleep(10)"),
        ("lock_timeout", "LOCK TABLE things"),
    ],
)
async def test_a_limit_of_the_server_passes(server: Server, migrations: Path, setting: str, statement: str) -> None:
    async with connected(Database(DatabaseConfig(server.url, pool_size=2), migrations)) as database:

        async def exceed() -> None:
            async with database.transaction() as connection:
                await connection.execute(f"SET LOCAL {setting} = 50")
                await connection.execute(statement)

        async with database.transaction() as other:
            await other.execute("LOCK TABLE things")
            with pytest.raises(StoreUnavailable):
                await exceed()


async def test_a_serialization_failure_passes(server: Server, migrations: Path) -> None:
    async with connected(Database(DatabaseConfig(server.url, pool_size=2), migrations)) as database:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO things VALUES (1)")

        async def collide() -> None:
            async with database.connection() as first, first.transaction(isolation="repeatable_read"):
                await first.fetch("SELECT * FROM things")
                async with database.connection() as second:
                    await second.execute("UPDATE things SET id = 2")
                await first.execute("UPDATE things SET id = 3")

        with pytest.raises(StoreUnavailable):
            await collide()


async def test_a_migration_that_changed_ends_the_process(server: Server, migrations: Path) -> None:
    async with connected(Database(DatabaseConfig(server.url, pool_size=2), migrations)):
        pass
    (migrations / "0001_things.sql").write_text("CREATE TABLE things (id bigint PRIMARY KEY)")
    app = App([Database(DatabaseConfig(server.url, pool_size=2), migrations)])
    await app.start()
    reason = None

    async def end() -> bool:
        nonlocal reason
        reason = await app.failed()
        return True

    await eventually(end)
    await app.stop()
    assert isinstance(reason, Fatal)
    await until(lambda: "changed since" in str(reason))
