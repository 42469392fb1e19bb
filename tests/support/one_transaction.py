"""A database whose whole life is one transaction, so that what a test did can be taken back in a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import asyncpg

from services.runtime.postgres.database import Connection, Database


class OneTransaction(Database):
    """Stands for runtime's `Database`: every connection is the one given, every transaction a savepoint.

    Tasks take turns. Nothing here waits for another transaction's locks: what depends on that needs real ones.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        # A savepoint, since a statement that fails would spoil the whole.
        async with self._turn, self._connection.transaction():
            yield cast(Connection, self._connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction_from(self, first: str) -> AsyncIterator[Connection]:
        async with self.connection() as connection:
            await connection.execute(first)
            yield connection

    @asynccontextmanager
    async def taken_back(self) -> AsyncIterator[None]:
        """What is written within is not there any more afterwards."""
        savepoint = self._connection.transaction()
        await savepoint.start()
        try:
            yield
        finally:
            await savepoint.rollback()
