"""A started database for the length of a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.runtime.db import Database


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[Database]:
    """The database, once it is connected and migrated."""
    await database.start()
    try:
        await database.wait_connected()
        yield database
    finally:
        await database.stop()
