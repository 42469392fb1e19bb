"""What the network's own servers share: they take what the stack posts, now and then only at the second attempt."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Generic, TypeVar

from tests.support.webhook_receiver import Receiver, Request

# Of the requests. Raising it tries the order more often; lowering it tells sooner, since each failure holds up its
# conversation for a second.
FAILING = 0.01

TakenT = TypeVar("TakenT")


class Receiving(Generic[TakenT]):
    """`read` gives what the checker keeps of a request, by its webhook-id, its body, and when it came. `clock`: seconds
    since the run began."""

    def __init__(self, read: Callable[[str, Any, float], TakenT], random: Random, clock: Callable[[], float]) -> None:
        self._read = read
        self._random = random
        self._clock = clock
        # In the order in which it was taken.
        self._taken: list[TakenT] = []
        self._receiver = Receiver(answer=self._answer)

    @property
    def disbelieved(self) -> tuple[str, ...]:
        """The ids of requests that were not signed with our key."""
        return tuple(self._receiver.disbelieved)

    def _answer(self, request: Request) -> int:
        # Those of an hour would fill the memory.
        self._receiver.came.clear()
        self._receiver.taken.clear()
        if self._random.random() < FAILING:
            return 503
        self._taken.append(self._read(request.webhook_id, request.said, self._clock()))
        return 200
