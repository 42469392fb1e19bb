"""Senders on a real PostgreSQL, and receivers on real sockets."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from services.runtime.clock import SystemClock
from services.runtime.config import DatabaseConfig
from services.runtime.postgres.database import Database
from services.webhooks.clients import HttpPost
from services.webhooks.core.attempts import RetryPolicy
from services.webhooks.core.model import (
    ClaimId,
    ConversationKind,
    Endpoint,
    EndpointName,
    Event,
    OrderKey,
    WebhookId,
)
from services.webhooks.ports import Erasure
from services.webhooks.sender import Sender
from services.webhooks.service import Intake, Operating
from services.webhooks.sql import PostgresDeliveries
from services.webhooks.wiring import MIGRATIONS
from tests.support.db import connected
from tests.support.webhook_receiver import SECRET, Receiver

TIMEOUT_S = 2.0
LONG = RetryPolicy(give_up_after_s=86_400, most_backoff_s=0.05)


def event(key: str, number: int, **fields: object) -> Event:
    """The number-th of a key."""
    made = Event(
        webhook_id=WebhookId(str(UUID(int=hash((key, number)) & ((1 << 128) - 1)))),
        type="message.sent",
        order_key=OrderKey(key),
        time=datetime.now(UTC),
        body=b'{"key":"%s","number":%d}' % (key.encode(), number),
        conversations=ConversationKind.DIRECT,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def key_of(said: dict[str, str]) -> str:
    """Of which key a request is."""
    return said["key"]


@dataclass
class Hooks:
    """One database; as many senders as a test starts. All use the endpoints that stand here now."""

    store: PostgresDeliveries
    database: Database
    endpoints: list[Endpoint] = field(default_factory=list)
    senders: list[Sender] = field(default_factory=list)
    receivers: list[Receiver] = field(default_factory=list)
    posts: list[HttpPost] = field(default_factory=list)

    async def receiver(self, name: str, **fields: object) -> Receiver:
        """A new one, and the endpoint that leads to it."""
        made = Receiver()
        await made.start()
        self.receivers.append(made)
        endpoint = Endpoint(EndpointName(name), made.url, (SECRET,), ("*",))
        self.endpoints.append(replace(endpoint, **fields))  # type: ignore[arg-type]
        return made

    async def sender(self, policy: RetryPolicy = LONG, timeout_s: float = TIMEOUT_S) -> Sender:
        """Another replica."""
        clock = SystemClock()
        post = HttpPost(clock, timeout_s)
        await post.start()
        self.posts.append(post)
        made = Sender(
            *(self.store, post, lambda: self.endpoints, clock, policy, timeout_s),
            new_claim_id=lambda: ClaimId(uuid4().hex),
            chance=random.random,
        )
        await made.start()
        self.senders.append(made)
        return made

    async def tell(self, *events: Event, erasure: Erasure | None = None) -> None:
        """Events come."""
        intake = Intake(self.store, lambda: self.endpoints, self.wake)
        await intake.take(events, erasure or Erasure())

    def operating(self) -> Operating:
        """What operators use."""
        return Operating(self.store, lambda: self.endpoints, self.wake)

    def wake(self) -> None:
        for sender in self.senders:
            sender.wake()

    async def stop(self) -> None:
        for sender in self.senders:
            await sender.stop()
        for post in self.posts:
            await post.stop()
        for receiver in self.receivers:
            await receiver.stop()


@pytest.fixture
async def hooks(database_url: str) -> AsyncIterator[Hooks]:
    async with connected(Database(DatabaseConfig(database_url, 12), MIGRATIONS)) as database:
        made = Hooks(PostgresDeliveries(database), database)
        yield made
        await made.stop()


def ids_of(key: str, count: int) -> list[str]:
    """The webhook ids of the first events of a key, in order."""
    return [event(key, number).webhook_id for number in range(count)]
