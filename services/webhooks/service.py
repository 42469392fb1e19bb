"""What is done with events, and for operators."""

from collections.abc import Callable, Sequence
from datetime import datetime

from services.webhooks import metrics
from services.webhooks.core.endpoints import by_name
from services.webhooks.core.errors import EndpointNotFound
from services.webhooks.core.filters import deliveries
from services.webhooks.core.model import (
    Backlog,
    DeadLetter,
    DeliveryId,
    Endpoint,
    EndpointName,
    EndpointState,
    Event,
)
from services.webhooks.ports import Erasure, Operations, Store

# Counted up to here: nobody needs to know it better.
MAX_COUNTED = 10_000
# Deliveries of one step of a replay. Raising it holds more locks for longer; lowering it takes more steps.
REPLAY_STEP = 2_000

Endpoints = Callable[[], Sequence[Endpoint]]


class Intake:
    """Events in, deliveries to come. `wake` is called when some are due."""

    def __init__(self, store: Store, endpoints: Endpoints, wake: Callable[[], None]) -> None:
        self._store = store
        self._endpoints = endpoints
        self._wake = wake

    async def take(self, events: Sequence[Event], erasure: Erasure) -> None:
        """Write down who is to be told. Idempotent. Raises StoreUnavailable."""
        new = list(deliveries(self._endpoints(), events))
        if not new and not erasure:
            return
        await self._store.add(new, erasure)
        for delivery in new:
            metrics.QUEUED.labels(delivery.event.type).inc()
        self._wake()


class Operating:
    """For people who look after the endpoints. Methods that name one raise EndpointNotFound, all StoreUnavailable."""

    def __init__(self, store: Operations, endpoints: Endpoints, wake: Callable[[], None]) -> None:
        self._store = store
        self._endpoints = endpoints
        self._wake = wake

    async def list_endpoints(self) -> list[tuple[Endpoint, EndpointState, Backlog]]:
        """The endpoints of the configuration, in its order."""
        endpoints = by_name(self._endpoints())
        states = await self._store.states(list(endpoints))
        return [(endpoints[state.name], state, await self._store.backlog(state.name, MAX_COUNTED)) for state in states]

    async def enable(self, name: EndpointName) -> None:
        """Send to it again. Idempotent."""
        self._require(name)
        await self._store.enable(name)
        self._wake()

    async def dead_letters(self, name: EndpointName, limit: int) -> Sequence[DeadLetter]:
        """The newest that were given up."""
        self._require(name)
        return await self._store.dead_letters(name, limit)

    async def replay(
        self, name: EndpointName, start: datetime, end: datetime, after: DeliveryId, *, dead_only: bool
    ) -> tuple[int, DeliveryId | None]:
        """Some deliveries more wait again; see Operations."""
        self._require(name)
        answer = await self._store.replay(name, start, end, after, REPLAY_STEP, dead_only=dead_only)
        self._wake()
        return answer

    def _require(self, name: EndpointName) -> None:
        if name not in by_name(self._endpoints()):
            raise EndpointNotFound(f"no endpoint is called {name!r}")
