"""A database, and one that is started, for the length of a block."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from services.runtime.postgres.database import Database


@asynccontextmanager
async def own_database(postgres: str, like: str = "") -> AsyncIterator[str]:
    """Address of a new one on the server of `postgres`, empty, or like another one, to which nobody is connected."""
    name, template = f"test_{secrets.token_hex(6)}", urlsplit(like).path[1:] or "template1"
    admin = await asyncpg.connect(postgres)
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        yield urlsplit(postgres)._replace(path=f"/{name}").geturl()
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[Database]:
    """The database, once it is connected and migrated."""
    await database.start()
    try:
        await database.wait_connected()
        yield database
    finally:
        await database.stop()


def error_of(code: str) -> asyncpg.PostgresError:
    """What asyncpg raises when the server says that SQLSTATE."""
    made: asyncpg.PostgresError = asyncpg.PostgresError.new({"C": code, "M": "said by the server", "S": "ERROR"})
    assert made.sqlstate == code
    return made
