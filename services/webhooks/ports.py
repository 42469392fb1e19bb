"""What webhooks needs from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.webhooks.core.attempts import Answer
from services.webhooks.core.model import (
    Backlog,
    Claim,
    ClaimId,
    DeadLetter,
    Delivery,
    DeliveryId,
    DeliveryState,
    Endpoint,
    EndpointName,
    EndpointState,
    NewDelivery,
)


class ClaimLost(Exception):
    """The key is another sender's now: it was not heard of for the length of its lease."""


@dataclass(frozen=True)
class Erasure:
    """Whose words, and which messages', are to be kept no longer."""

    author_ids: frozenset[str] = frozenset()
    message_ids: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.author_ids or self.message_ids)


class Store(Protocol):
    """The deliveries, and who works on which key. Every method raises StoreUnavailable."""

    async def add(self, deliveries: Sequence[NewDelivery], erasure: Erasure) -> None:
        """Write deliveries down, in order, and erase what is older. Idempotent by endpoint and webhook id."""

    async def states(self, endpoints: Sequence[EndpointName]) -> Sequence[EndpointState]:
        """How these endpoints are doing, and when their next keys are due."""

    async def claim(self, endpoint: EndpointName, limit: int, lease_s: float, claim_id: ClaimId) -> Sequence[Claim]:
        """Take keys that are due, the longest due first. Nobody else gets them for the length of the lease."""

    async def first(self, claim: Claim) -> Delivery | None:
        """The key's oldest delivery that waits."""

    async def settle(
        self, claim: Claim, delivery: DeliveryId, state: DeliveryState, status: int, lease_s: float
    ) -> Delivery | None:
        """A delivery has come to an end; the next of the key. The lease begins again. Raises ClaimLost."""

    async def defer(
        self, claim: Claim, delivery: DeliveryId, status: int, delay_s: float, *, waits_for_endpoint: bool
    ) -> None:
        """The key has its next turn after a while; the claim ends. Raises ClaimLost.

        `waits_for_endpoint`: not this key alone failed; `recover` gives it its turn at once.
        """

    async def release(self, claim: Claim) -> None:
        """The claim ends; if something waits, it is due."""

    async def note_failing(self, endpoint: EndpointName) -> None:
        """The endpoint fails from now on, if it did not before."""

    async def recover(self, endpoint: EndpointName) -> bool:
        """The endpoint takes something again: what waited for it is due. Whether it was failing."""

    async def disable(self, endpoint: EndpointName, url: str) -> None:
        """The address wants nothing any more."""


class Operations(Protocol):
    """What operators ask of the deliveries. Every method raises StoreUnavailable."""

    async def states(self, endpoints: Sequence[EndpointName]) -> Sequence[EndpointState]:
        """See Store."""

    async def backlog(self, endpoint: EndpointName, most: int) -> Backlog:
        """What waits and what was given up, each counted up to `most`."""

    async def enable(self, endpoint: EndpointName) -> None:
        """Send to it again; what waits for it is due."""

    async def dead_letters(self, endpoint: EndpointName, limit: int) -> Sequence[DeadLetter]:
        """The newest that were given up, the newest first."""

    async def replay(
        self,
        endpoint: EndpointName,
        start: datetime,
        end: datetime,
        after: DeliveryId,
        limit: int,
        *,
        dead_only: bool,
    ) -> tuple[int, DeliveryId | None]:
        """Let settled deliveries wait again: how many, and after which to go on; None when all are done."""


class Keeping(Protocol):
    """What is kept only for so long."""

    async def purge(self, keep_s: float, limit: int) -> dict[DeliveryState, int]:
        """Delete some that are older: how many of each state. Raises StoreUnavailable."""


class Post(Protocol):
    """Sends one request."""

    async def post(self, endpoint: Endpoint, delivery: Delivery) -> Answer:
        """What came back, within the time that an endpoint has. Never raises for what the endpoint does."""
