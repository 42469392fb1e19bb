"""Indexes anew what a release before indexed in its own way, so that the words of old texts are found like new ones."""

import asyncio
from typing import Protocol

import structlog

from services.runtime.errors import StoreUnavailable
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# Texts a transaction. Higher: edits of these wait longer. Lower: more commits.
BATCH = 200
# Between looks that found little. Higher: what a replica of the release before wrote is found later. Lower: idle work.
INTERVAL_S = 60.0


class OldWords(Protocol):
    """What the indexer needs of the store."""

    async def index_old(self, limit: int) -> int:
        """See ports.Store."""


class Reindexer:
    """Every replica runs one; two that meet do the same work twice, and harm nothing."""

    def __init__(self, store: OldWords) -> None:
        self._store = store

    async def run(self) -> None:
        """Index for ever."""
        while True:
            try:
                await self.index()
            except StoreUnavailable as error:
                log.warning("indexing_waits", error=describe(error))
            except Exception:
                log.exception("indexing_failed")
            await asyncio.sleep(INTERVAL_S)

    async def index(self) -> int:
        """Index all that there is now; how many texts. Errors: StoreUnavailable."""
        total = count = await self._store.index_old(BATCH)
        while count == BATCH:
            count = await self._store.index_old(BATCH)
            total += count
        return total
