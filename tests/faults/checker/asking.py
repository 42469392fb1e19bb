"""How a client of the checker asks: again and again as real ones do, writing down what it knows in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any

import grpc

from parley_client.client import LoginError
from parley_client.error_details import reason_of, retry_delay_s
from parley_client.stream import BackOff
from tests.faults.checker.history import Action, Operation, Outcome

# The codes that say for sure that nothing was done.
_REFUSED = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.OUT_OF_RANGE,
)
# That say nothing of this request alone: it is asked again. UNAUTHENTICATED: the services have no keys yet.
_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNAUTHENTICATED,
)
RPC_TIMEOUT_S = 3.0
# What is noted in place of a status.
CLOSED = "the device is closed"
# Raising it leaves fewer operations of which nobody knows whether they were done; lowering it makes more requests.
GIVE_UP_S = 20.0


class Recorder:
    """Asks, and keeps an `Operation` for each. `clock`: seconds since the run began. `random` is for the back-off."""

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self.operations: list[Operation] = []
        self._clock = clock
        self._random = random
        self._back_off = BackOff(first_s=0.05, most_s=1.0)
        self._numbers = 0

    async def ask(
        self,
        who: tuple[str, str],
        action: Action,
        call: Callable[[], Awaitable[Any]],
        seq_of: Callable[[Any], int] = lambda _: 0,
        subject_of: Callable[[Any], str] | None = None,
        **about: Any,
    ) -> Any | None:
        """The answer, or None for one that was refused or never came. `who`: person and device.

        `seq_of` and `subject_of` read from the answer what is noted of it; `about` are fields of `Operation`.
        """
        self._numbers += 1
        operation = Operation(self._numbers, *who, action, began_s=self._clock(), **about)
        answer, outcome, status = await self._try(call)
        if answer is not None:
            operation = replace(operation, seq=seq_of(answer) or operation.seq)
            if subject_of is not None:
                operation = replace(operation, subject=subject_of(answer))
        self.operations.append(replace(operation, ended_s=self._clock(), outcome=outcome, status=status))
        return answer

    async def _try(self, call: Callable[[], Awaitable[Any]]) -> tuple[Any | None, Outcome, str]:
        give_up_s = self._clock() + GIVE_UP_S
        may_be_done, attempt, status = False, 0, ""
        while self._clock() < give_up_s:
            asked_s = 0.0
            try:
                return await call(), Outcome.OK, ""
            except grpc.aio.AioRpcError as error:
                status = f"{error.code().name} {reason_of(error)}".strip()
                if error.code() in _REFUSED:
                    # An earlier attempt without an answer may have been done, and this one be refused because of it.
                    return None, Outcome.UNKNOWN if may_be_done else Outcome.FAILED, status
                may_be_done |= error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED
                if error.code() not in _AGAIN:
                    return None, Outcome.UNKNOWN, status
                asked_s = retry_delay_s(error)
            except (LoginError, TimeoutError) as error:
                status = f"no token: {type(error).__name__}"
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # The request, with its device: somebody has put that away meanwhile.
                return None, Outcome.UNKNOWN, CLOSED
            except grpc.aio.UsageError:
                # Of a device that was put away before this attempt began; an earlier one may have been done.
                return None, Outcome.UNKNOWN, CLOSED
            await asyncio.sleep(self._back_off.delay_s(attempt, self._random.random(), min(asked_s, 2.0)))
            attempt += 1
        return None, Outcome.UNKNOWN if may_be_done else Outcome.FAILED, status
