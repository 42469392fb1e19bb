"""The sender beside an endpoint and a store that do not do what they should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from services.runtime.errors import StoreUnavailable
from services.webhooks.core.attempts import Answer, RetryPolicy
from services.webhooks.core.model import (
    Claim,
    ClaimId,
    Delivery,
    DeliveryId,
    DeliveryState,
    Endpoint,
    EndpointName,
    EndpointState,
    OrderKey,
    WebhookId,
)
from services.webhooks.ports import ClaimLost
from services.webhooks.sender import Sender
from tests.support.clock import ManualClock
from tests.support.waiting import until

NAME = EndpointName("bots")


@dataclass
class OneKey:
    """A store with one key, whose deliveries all wait. While it is `down` it raises."""

    deliveries: list[Delivery]
    down: bool = False
    # Another sender has the key by now.
    lost: bool = False
    looks: int = 0
    released: int = 0
    deferred: int = 0
    claimed: bool = False
    settled: list[DeliveryId] = field(default_factory=list)

    def _raise_if_down(self) -> None:
        if self.down:
            raise StoreUnavailable("down")

    async def states(self, endpoints: Sequence[EndpointName]) -> Sequence[EndpointState]:
        self.looks += 1
        self._raise_if_down()
        due_in_s = 0.0 if self.deliveries and not self.claimed else None
        return [EndpointState(name, due_in_s=due_in_s) for name in endpoints]

    async def claim(self, endpoint: EndpointName, limit: int, lease_s: float, claim_id: ClaimId) -> Sequence[Claim]:
        self._raise_if_down()
        self.claimed = True
        return [Claim(claim_id, endpoint, OrderKey("call:1"))]

    async def first(self, claim: Claim) -> Delivery | None:
        return self.deliveries[0] if self.deliveries else None

    async def settle(
        self, claim: Claim, delivery: DeliveryId, state: DeliveryState, status: int, lease_s: float
    ) -> Delivery | None:
        self._raise_if_down()
        if self.lost:
            raise ClaimLost
        self.settled.append(delivery)
        self.deliveries.pop(0)
        return await self.first(claim)

    async def defer(self, claim: Claim, delivery: DeliveryId, status: int, delay_s: float) -> None:
        self.deferred += 1
        self.claimed = False

    async def release(self, claim: Claim) -> None:
        self.released += 1
        self.claimed = False


@dataclass
class Answers:
    """An endpoint that answers all with one status; `hold` keeps it from answering."""

    hold: asyncio.Event = field(default_factory=asyncio.Event)
    posted: list[DeliveryId] = field(default_factory=list)
    status: int = 200
    retry_after_s: float | None = None

    async def post(self, endpoint: Endpoint, delivery: Delivery) -> Answer:
        self.posted.append(delivery.id)
        await self.hold.wait()
        return Answer(self.status, self.retry_after_s)


def delivery(number: int) -> Delivery:
    return Delivery(DeliveryId(number), WebhookId(str(number)), b"{}", datetime.now(UTC), 0, 0.0)


@dataclass
class Town:
    store: OneKey
    answers: Answers
    endpoints: list[Endpoint]
    sender: Sender


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    store, answers = OneKey([delivery(number) for number in range(3)]), Answers()
    answers.hold.set()
    endpoints = [Endpoint(NAME, "http://x/", ("whsec_",), ("*",))]
    sender = Sender(
        *(store, answers, lambda: endpoints, ManualClock(), RetryPolicy(1, 1), 5.0),  # type: ignore[arg-type]
        new_claim_id=lambda: ClaimId("c"),
        chance=lambda: 0.0,
    )
    yield Town(store, answers, endpoints, sender)
    await sender.stop()


async def test_all_of_a_key_is_sent_in_turn(town: Town) -> None:
    await town.sender.start()
    await until(lambda: town.store.released, what="the key was given back")
    assert town.answers.posted == town.store.settled == [0, 1, 2]


async def test_while_the_store_is_away_nothing_is_sent_and_then_all(town: Town) -> None:
    town.store.down = True
    await town.sender.start()
    for looks in range(3):
        await until(lambda looks=looks: town.store.looks > looks, what="another look")  # type: ignore[misc]
        town.sender.wake()
    assert not town.answers.posted
    town.store.down = False
    town.sender.wake()
    await until(lambda: town.store.settled == [0, 1, 2], what="all")


async def test_what_is_under_way_at_a_stop_is_heard_and_the_rest_is_given_back(town: Town) -> None:
    town.answers.hold.clear()
    await town.sender.start()
    await until(lambda: town.answers.posted, what="a request")
    stopping = asyncio.create_task(town.sender.stop())
    await asyncio.sleep(0)
    town.answers.hold.set()
    await stopping
    assert (town.store.settled, town.store.released) == ([0], 1)


async def test_a_pause_is_of_the_address_that_asked_for_it(town: Town) -> None:
    town.answers.status, town.answers.retry_after_s = 429, 3_000.0
    await town.sender.start()
    await until(lambda: town.store.deferred, what="the endpoint asked for a pause")
    looks = town.store.looks
    town.sender.wake()
    await until(lambda: town.store.looks > looks, what="another look")
    assert town.answers.posted == [0]
    town.answers.status = 200
    town.endpoints[0] = replace(town.endpoints[0], url="http://y/")
    town.sender.wake()
    await until(lambda: town.store.settled == [0, 1, 2], what="all, at the new address")


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"endpoint": NAME}) or 0.0


@pytest.mark.parametrize(
    ("status", "waited_s", "metric"),
    [(400, 5.0, "webhooks_dead_letters_total"), (200, 0.0, "webhooks_delivery_seconds_count")],
)
async def test_what_another_sender_settles_is_counted_there_alone(
    town: Town, status: int, waited_s: float, metric: str
) -> None:
    town.store.deliveries, town.store.lost = [replace(delivery(0), waited_s=waited_s)], True
    town.answers.status = status
    before = counted(metric)
    await town.sender.start()
    await until(lambda: town.answers.posted and counted("webhooks_keys_in_flight") == 0, what="the claim is lost")
    assert counted(metric) == before


async def test_an_endpoint_that_was_taken_away_says_nothing_in_the_metrics(town: Town) -> None:
    await town.sender.start()
    await until(lambda: town.store.released, what="the key was given back")
    labels: dict[str, str] = {"endpoint": NAME}
    assert REGISTRY.get_sample_value("webhooks_oldest_waiting_seconds", labels) is not None
    town.endpoints.clear()
    town.sender.wake()
    gone = lambda: REGISTRY.get_sample_value("webhooks_oldest_waiting_seconds", labels) is None  # noqa: E731
    await until(gone, what="the series is gone")
