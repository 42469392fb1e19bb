"""The two ways by which deliveries come: directly from whoever committed them, and by `delivery.v1`."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace

from services.presence import metrics
from services.presence.core.arrivals import Arrivals
from services.presence.core.model import Assignment, Delivery
from services.presence.service import Presence


class ProducerStream:
    """One producer that hands deliveries over: it is told what this replica routes."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._assignment: Assignment | None = None
        self._failure: Exception | None = None
        self._closed = False

    def tell(self, assignment: Assignment) -> None:
        """What the replica routes from now on; an assignment before that was not read yet is of no use any more."""
        self._assignment = assignment
        self._changed.set()

    def end(self, reason: Exception | None = None) -> None:
        """End the stream, with this error if there is one."""
        self._closed, self._failure = True, reason
        self._changed.set()

    async def assignments(self) -> AsyncIterator[Assignment]:
        """What was told, until the stream ends. Errors: what `end` was given."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._failure:
                raise self._failure
            if self._closed:
                return
            if self._assignment:
                yield self._assignment


class DeliveryWays:
    """Passes each delivery on once, whichever way it comes first. All methods run on the event loop."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._arrivals = Arrivals()
        self._producers: set[ProducerStream] = set()
        # Whether all gateways have registered: before that, somebody's device may not be known yet.
        self._is_open = False
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def held(self) -> int:
        """Deliveries that wait for those before them."""
        return self._arrivals.held

    def attach(self) -> ProducerStream:
        """A producer has come; what the replica routes is its first frame."""
        producer = ProducerStream()
        self._producers.add(producer)
        producer.tell(self._told())
        return producer

    def detach(self, producer: ProducerStream) -> None:
        """A producer has gone."""
        self._producers.discard(producer)

    def take_direct(self, epoch: int, deliveries: Sequence[Delivery]) -> None:
        """What a producer hands over, by what it knows of an assignment. What is dropped comes by the topic."""
        if not self._is_open or epoch != self._presence.router.assignment.epoch:
            metrics.DIRECT_STALE.inc(len(deliveries))
            return
        for delivery in deliveries:
            self._take_direct(delivery)

    def _take_direct(self, delivery: Delivery) -> None:
        if not self._presence.router.has_device(delivery.user_id):
            # Nobody would read it, and whoever comes in between shall get it from the topic.
            metrics.DIRECT_NO_DEVICE.inc()
            return
        if self._arrivals.is_passed(delivery):
            metrics.DIRECT_KNOWN.inc()
            return
        passed = self._arrivals.take_direct(delivery, self._presence.now())
        (metrics.DIRECT_TAKEN if passed else metrics.DIRECT_HELD).inc()
        self._pass_on(passed)
        if not passed:
            self._wait()

    def take_logged(self, delivery: Delivery) -> None:
        """What came by the topic."""
        passed = self._arrivals.take_logged(delivery)
        if not passed:
            metrics.KNOWN.inc()
            if delivery.call:
                # Of two calls of a user the topic says which was the later; directly they may have come the other way.
                self._presence.take(replace(delivery, frame=b""))
        self._pass_on(passed)

    async def on_assigned(self, partitions: Collection[int], partition_count: int, member_id: str = "") -> None:
        """Own these partitions. Nothing is taken directly until the gateways have registered."""
        self._close()
        await self._presence.on_assigned(partitions, partition_count, member_id)
        self._is_open = True
        self._tell()

    async def on_revoked(self) -> None:
        """Own nothing."""
        self._close()
        await self._presence.on_revoked()
        self._tell()

    def _close(self) -> None:
        self._is_open = False
        self._arrivals.clear()

    def _tell(self) -> None:
        for producer in self._producers:
            producer.tell(self._told())

    def _told(self) -> Assignment:
        assignment = self._presence.router.assignment
        return assignment if self._is_open else Assignment(assignment.epoch, frozenset(), 0)

    def _pass_on(self, deliveries: Sequence[Delivery]) -> None:
        for number, delivery in enumerate(deliveries):
            try:
                self._presence.take(delivery)
            except BaseException:
                # Whoever tries again shall find them.
                for left in deliveries[number:]:
                    self._arrivals.forget(left)
                raise

    def _wait(self) -> None:
        """Look again when the first of those that wait has waited for long enough."""
        due = self._arrivals.next_expiry() if self._expiry is None else None
        if due is not None:
            delay_s = max(0.0, due - self._presence.now())
            self._expiry = asyncio.get_running_loop().call_later(delay_s, self.expire)

    def expire(self) -> None:
        """Pass on what has waited for long enough."""
        self._expiry = None
        self._pass_on(self._arrivals.expire(self._presence.now()))
        self._wait()
