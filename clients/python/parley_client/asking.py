"""Asking the service on behalf of a program that wants an answer or a reason: what ParleyClient's methods stand on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from parley_client.error_details import fields_of, reason_of, retry_delay_s
from parley_client.stream import BackOff

T = TypeVar("T")

# Raising it rides out a longer outage; lowering it tells the program sooner.
ATTEMPTS = 6
# A longer wait that the service asks for is left to the program: a day's quota is not waited for in silence.
_MAX_WAIT_S = 60.0

# CANCELLED of a server or a proxy: it ended while the request was on its way, as when the edge is started anew.
_TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
    }
)
# A precondition that will be met without the client.
_WAITED_FOR = "ATTACHMENT_NOT_SCANNED"


class Failure(Exception):
    """What was asked for was not done. The protos say which reasons an RPC has.

    `code`: of gRPC, in lower case (`not_found`). `reason`: google.rpc.ErrorInfo's, empty where there is none. `field`:
    the first one of the request that is at fault, or empty. `retry_delay_s`: how long the service asks to wait, or 0.
    """

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code: str = error.code().name.lower()
        self.reason = reason_of(error)
        self.field = next(iter(fields_of(error)), "")
        self.retry_delay_s = retry_delay_s(error)
        self.is_transient = error.code() in _TRANSIENT or self.reason == _WAITED_FOR
        super().__init__(
            ": ".join(part for part in (self.code, self.reason, self.field, error.details() or "") if part)
        )


async def ask(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of one attempt, for what is not idempotent. Raises Failure."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        raise Failure(error) from error


async def ask_until_told(
    call: Callable[[], Awaitable[T]],
    back_off: BackOff | None = None,
    chance: Callable[[], float] = random.random,
    attempts: int = ATTEMPTS,
) -> T:
    """The answer of an idempotent call, repeated while the failure is one that passes. Raises Failure."""
    back_off = back_off or BackOff()
    for attempt in range(attempts - 1):
        try:
            return await ask(call)
        except Failure as failure:
            if not failure.is_transient or failure.retry_delay_s > _MAX_WAIT_S:
                raise
            await asyncio.sleep(back_off.delay_s(attempt, chance(), failure.retry_delay_s))
    return await ask(call)
