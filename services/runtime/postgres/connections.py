"""One connection of the pool, which notices that its server is gone."""

import asyncio
from asyncio import BaseTransport
from typing import Any

import asyncpg

from services.runtime.sockets import find_dead_peer

# Of one statement, to its answer. Raising it makes callers wait longer for a server that is gone; lowering it cuts off
# what merely waits for a lock.
STATEMENT_WITHIN_S = 10.0


class PooledConnection(asyncpg.Connection):
    """As asyncpg's, but neither a dead server nor what the library does by itself holds up who uses it."""

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
