"""What is left in the Kafka client when a publication has failed: nothing that would come before what it is behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.errors import NotLeaderForPartitionError, OutOfOrderSequenceNumber
from aiokafka.producer.message_accumulator import BatchBuilder

from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable
from services.runtime.kafka import producer
from services.runtime.kafka.bus import Outgoing
from services.runtime.kafka.producer import KafkaPublisher

# Fills one batch of the client.
LARGE = bytes(BATCH_BYTES := 16_384)


class Client:
    """Takes what it is given, and answers when it is told to."""

    def __init__(self, **_: Any) -> None:
        self.given: list[asyncio.Future[None]] = []
        self.was_given = asyncio.Event()
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        # Its tasks: one sends, the other keeps up with the cluster.
        self.sender_task, self._sync_task = (asyncio.get_running_loop().create_future() for _ in range(2))
        self._sender = self.client = self

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        await self.may_stop.wait()

    async def partitions_for(self, _: str) -> set[int]:
        return {0}

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def send_batch(self, _: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[None]:
        assert (topic, partition) == ("things", 0)
        self.given.append(asyncio.get_running_loop().create_future())
        self.was_given.set()
        return self.given[-1]

    async def next_batch(self) -> asyncio.Future[None]:
        await self.was_given.wait()
        self.was_given.clear()
        return self.given[-1]


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """Those that were opened."""
    clients: list[Client] = []

    def open_client(**_: Any) -> Client:
        clients.append(Client())
        return clients[-1]

    monkeypatch.setattr(producer, "AIOKafkaProducer", open_client)
    return clients


@pytest.fixture
async def publisher(clients: list[Client]) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(KafkaConfig("nowhere:1", idempotent=True, session_timeout_ms=6_000, fetch_wait_ms=10))
    await publisher.start()
    await publisher.wait_connected()
    assert len(clients) == 1
    yield publisher
    await publisher.stop()


@pytest.fixture
def client(publisher: KafkaPublisher, clients: list[Client]) -> Client:
    return clients[0]


async def test_the_next_batch_of_a_partition_follows_the_acknowledgement_of_the_one_before(
    publisher: KafkaPublisher, client: Client
) -> None:
    publishing = asyncio.create_task(publisher.publish([Outgoing("things", b"key", LARGE)] * 3))
    (await client.next_batch()).set_result(None)
    (await client.next_batch()).set_exception(NotLeaderForPartitionError())
    with pytest.raises(BusUnavailable):
        await publishing
    assert len(client.given) == 2


@pytest.mark.parametrize("task", ["sender_task", "_sync_task"])
async def test_a_client_of_which_a_task_has_ended_has_a_successor(
    publisher: KafkaPublisher, clients: list[Client], task: str
) -> None:
    """It would say so to whoever waits just then, and to nobody later."""
    getattr(clients[0], task).set_exception(RuntimeError("a fault of the client"))
    with pytest.raises(BusUnavailable):
        await publisher.publish([Outgoing("things", b"key", b"value")])
    getattr(clients[0], task).exception()
    await publisher.wait_connected()
    publishing = asyncio.create_task(publisher.publish([Outgoing("things", b"key", b"value")]))
    (await clients[1].next_batch()).set_result(None)
    await publishing


async def test_a_successor_begins_when_the_one_before_sends_nothing_more(
    publisher: KafkaPublisher, clients: list[Client]
) -> None:
    """What that one still has would come behind what is newer, and a compacted topic keeps the last."""
    clients[0].may_stop.clear()
    publishing = asyncio.create_task(publisher.publish([Outgoing("things", b"key", b"value")]))
    (await clients[0].next_batch()).set_exception(OutOfOrderSequenceNumber())
    with pytest.raises(BusUnavailable):
        await publishing
    connecting = asyncio.create_task(publisher.wait_connected())
    await asyncio.wait({connecting}, timeout=0)
    assert len(clients) == 1
    clients[0].may_stop.set()
    await connecting
    assert len(clients) == 2
