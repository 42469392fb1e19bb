"""The database's password and authority are replaced, under load, behind a PostgreSQL with TLS and SCRAM."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from deploy.embedded.ports import Ports
from services.runtime.config import DatabaseConfig
from services.runtime.errors import StoreUnavailable
from services.runtime.postgres.database import Database
from tests.support.db import connected
from tests.support.rotation import Load, Serving, load
from tests.support.tls import HOST, Authority, postgres_front
from tests.support.waiting import eventually

POOL_SIZE = 20


class Server:
    """A database that is owned by a role; whoever belongs to that role is let in by a password alone."""

    def __init__(self, admin: asyncpg.Connection, name: str, folder: Path, ca: Path, port: int) -> None:
        self.admin, self.name = admin, name
        self.role = f"app_{secrets.token_hex(4)}"
        # The mounted file.
        self.ca = ca
        self._folder, self._port = folder, port

    async def do(self, *statements: str) -> None:
        """As the operator: {role} is the owner, {name} the database."""
        for statement in statements:
            await self.admin.execute(statement.format(role=self.role, name=self.name))

    async def cut(self) -> None:
        """End all connections of the role, as a restart would."""
        await self.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", self.role)

    async def connections(self) -> int:
        """How many the roles of this test have open."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
        return int(await self.admin.fetchval(query, self.name))

    def url(self, password: str = "first", role: str = "") -> str:
        """As the manifests have it."""
        address = f"postgresql://{role or self.role}:{password}@{HOST}:{self._port}/{self.name}"
        return f"{address}?sslmode=verify-full&sslrootcert={self.ca}"

    def database(self, password: str = "first", role: str = "", release: str = "one") -> Database:
        """What a pod has whose variables are these."""
        return Database(DatabaseConfig(self.url(password, role), POOL_SIZE), self._folder / release)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def front(database_url: str, authority: Authority) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    socket = Path(parse_qs(urlsplit(database_url).query)["host"][0]) / ".s.PGSQL.5432"
    port = Ports({}).tcp("postgres-front")
    async with postgres_front(port, socket, authority.issue("postgres")) as tls:
        yield port, tls


@pytest.fixture
async def server(
    postgres: str, database_url: str, tmp_path: Path, authority: Authority, front: tuple[int, ssl.SSLContext]
) -> AsyncIterator[Server]:
    for release, files in {"one": ("0001_notes",), "two": ("0001_notes", "0002_later")}.items():
        (tmp_path / release).mkdir()
        for name in files:
            (tmp_path / release / f"{name}.sql").write_text(f"CREATE TABLE {name[5:]} (id bigserial, text text)")
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.ca.read_bytes())
    admin = await asyncpg.connect(postgres)
    made = Server(admin, urlsplit(database_url).path[1:], tmp_path, ca, front[0])
    try:
        await made.do("CREATE ROLE {role} LOGIN PASSWORD 'first'", 'ALTER DATABASE "{name}" OWNER TO {role}')
        async with only_by_password(admin, made.role):
            yield made
        # With what the roles have made; the fixture that made the database drops it, too.
        await made.do('DROP DATABASE "{name}" WITH (FORCE)', 'CREATE DATABASE "{name}"')
        await made.do("DROP ROLE IF EXISTS {role}_b", "DROP ROLE {role}")
    finally:
        await admin.close()


@asynccontextmanager
async def only_by_password(admin: asyncpg.Connection, role: str) -> AsyncIterator[None]:
    """The server asks the role, and who belongs to it, for its password (SCRAM); the others stay trusted."""
    rules = Path(await admin.fetchval("SHOW hba_file"))
    before = await asyncio.to_thread(rules.read_text)
    await asyncio.to_thread(rules.write_text, f"local all +{role} scram-sha-256\n{before}")
    await admin.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await asyncio.to_thread(rules.write_text, before)
        await admin.execute("SELECT pg_reload_conf()")


async def note(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO notes (text) VALUES ('load')")


async def write_a_note(serving: Serving[Database]) -> None:
    with serving.one() as database:
        await note(database)


async def is_refused(database: Database) -> bool:
    try:
        await note(database)
    except StoreUnavailable:
        return True
    return False


def put(path: Path, data: bytes) -> None:
    """At once, as a mounted Secret changes."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(data)
    unfinished.replace(path)


async def opens_more(server: Server, database: Database) -> None:
    """Let the pool open connections."""
    before = await server.connections()
    async with AsyncExitStack() as stack:

        async def has_more() -> bool:
            # The load may give some back meanwhile, and a slow machine may not open one in time.
            with suppress(StoreUnavailable):
                await stack.enter_async_context(database.connection())
            return await server.connections() > before

        await eventually(has_more, what="a connection more")


async def roll(serving: Serving[Database], following: Database) -> None:
    """The next pod is ready before the one before is stopped."""
    await following.start()
    await following.wait_connected()
    assert await following.ready()
    await (await serving.replace(following)).stop()


@asynccontextmanager
async def under_load(first: Database) -> AsyncIterator[tuple[Serving[Database], Load]]:
    """Notes are written in the block, at first to this database; none may be refused."""
    serving = Serving(first)
    await first.start()
    try:
        await first.wait_connected()
        async with load(lambda: write_a_note(serving)) as notes:
            yield serving, notes
    finally:
        await serving.current.stop()


async def test_a_second_role_takes_over_and_the_first_gets_a_new_password_next_time(server: Server) -> None:
    async with under_load(server.database("first")) as (serving, notes):
        # What the second makes is the first's, so that both have all of it.
        await server.do(
            "CREATE ROLE {role}_b LOGIN PASSWORD 'second' IN ROLE {role}", "ALTER ROLE {role}_b SET role = {role}"
        )
        await notes.goes_on("a second role")
        await roll(serving, server.database("second", f"{server.role}_b", release="two"))
        await notes.goes_on("a rollout to it, with a migration")
        async with connected(server.database("first", release="two")) as old, old.transaction() as connection:
            await connection.execute("INSERT INTO later (text) VALUES ('of a pod that is not replaced yet')")
        await server.do("ALTER ROLE {role} PASSWORD NULL")
        await notes.goes_on("the end of the first password")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url("first"))
        await server.do("ALTER ROLE {role} PASSWORD 'third'")
        await roll(serving, server.database("third"))
        await server.do("ALTER ROLE {role}_b PASSWORD NULL")
        await notes.goes_on("the way back to the first role")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url("second", f"{server.role}_b"))


async def test_a_password_that_is_changed_under_a_pool_is_an_outage_of_new_connections_alone(server: Server) -> None:
    async with connected(server.database("first")) as database:
        async with database.connection() as held:
            await server.do("ALTER ROLE {role} PASSWORD 'other'")
            await held.execute("INSERT INTO notes (text) VALUES ('by a connection from before')")
            with pytest.raises(StoreUnavailable):
                await note(database)
        # It went back to the pool.
        await note(database)
        await server.cut()
        await eventually(lambda: is_refused(database), what="a pool without a connection")
        assert not await database.ready()
        await server.do("ALTER ROLE {role} PASSWORD 'first'")
        await eventually(database.ready, what="the pool by itself")
        async with database.connection(), database.connection():
            await note(database)


async def test_an_authority_is_replaced_by_way_of_a_bundle_and_running_pools_follow_the_file(
    server: Server, authority: Authority, front: tuple[int, ssl.SSLContext], tmp_path: Path
) -> None:
    following = Authority(tmp_path, "following")
    renewed = following.issue("postgres")
    old, new = authority.ca.read_bytes(), following.ca.read_bytes()
    async with under_load(server.database()) as (serving, notes):
        async with serving.current.connection() as held:
            backend = await held.fetchval("SELECT pg_backend_pid()")
            put(server.ca, old + new)
            await opens_more(server, serving.current)
            await notes.goes_on("a bundle of both")
            front[1].load_cert_chain(renewed.certificate, renewed.key)
            await opens_more(server, serving.current)
            await notes.goes_on("the server's certificate by the new authority")
            put(server.ca, new)
            await opens_more(server, serving.current)
            await notes.goes_on("the new authority alone")
            assert await held.fetchval("SELECT pg_backend_pid()") == backend
        await roll(serving, server.database())
        await notes.goes_on("a rollout")
    put(server.ca, old)
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(server.url())


@pytest.mark.parametrize("damage", ["another authority", "half written", "empty", "gone"])
async def test_a_file_of_authorities_that_is_no_help_is_an_outage_of_new_connections_alone(
    server: Server, tmp_path: Path, damage: str
) -> None:
    good = server.ca.read_bytes()
    async with connected(server.database()) as database:
        async with database.connection() as held:
            match damage:
                case "another authority":
                    put(server.ca, Authority(tmp_path, "other").ca.read_bytes())
                case "half written":
                    put(server.ca, good[:100])
                case "empty":
                    put(server.ca, b"")
                case _:
                    server.ca.unlink()
            with pytest.raises(StoreUnavailable):
                await note(database)
            await held.execute("INSERT INTO notes (text) VALUES ('by a connection from before')")
        await server.cut()
        await eventually(lambda: is_refused(database), what="a pool without a connection")
        assert not await database.ready()
        put(server.ca, good)
        await eventually(database.ready, what="the pool by itself")
