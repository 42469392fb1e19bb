"""Trying an RPC again, as late as the server asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from parley_client.error_details import retry_delay_s

T = TypeVar("T")

# Raising it rides out a longer outage of a service; lowering it reports the outage sooner.
_ATTEMPTS = 6
# The edge's own refusals carry no RetryInfo. Raising it spares a service that starts; lowering it goes on sooner.
_EDGE_RETRY_S = 0.5


async def retrying(call: Callable[[], Awaitable[T]]) -> T:
    """The call's answer. It is repeated while the server asks for that (google.rpc.RetryInfo), or the edge finds none.

    Only for idempotent calls. Raises any other error at once, and the last one when all attempts failed.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            delay_s = retry_delay_s(error)
            if not delay_s and error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(delay_s or _EDGE_RETRY_S)
    return await call()
