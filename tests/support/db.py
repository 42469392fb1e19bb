"""A started database for the length of a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from services.runtime.postgres.database import Database


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
