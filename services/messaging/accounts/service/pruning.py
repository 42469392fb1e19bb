"""Forgets revocations once every token that they are about has expired."""

import asyncio

import structlog

from services.messaging.accounts.service.signing_out import SignOuts
from services.runtime.errors import StoreUnavailable
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# Raising it keeps useless rows for longer; lowering it makes more idle queries.
PRUNE_INTERVAL_S = 600.0


class Pruner:
    """In every replica; what two of them forget at once is forgotten once."""

    def __init__(self, sign_outs: SignOuts) -> None:
        self._sign_outs = sign_outs

    async def run(self) -> None:
        """Work for ever."""
        while True:
            try:
                while await self._sign_outs.prune():
                    continue
            except StoreUnavailable as error:
                log.warning("revocations_wait", error=describe(error))
            await asyncio.sleep(PRUNE_INTERVAL_S)
