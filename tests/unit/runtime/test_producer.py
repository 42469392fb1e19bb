"""What is left in the Kafka client when a publication has failed: nothing that would come before what it is behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import NotLeaderForPartitionError
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

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

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
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(producer, "AIOKafkaProducer", lambda **_: client)
    return client


async def test_the_next_batch_of_a_partition_follows_the_acknowledgement_of_the_one_before(client: Client) -> None:
    publisher = KafkaPublisher(KafkaConfig("nowhere:1", idempotent=True, session_timeout_ms=6_000, fetch_wait_ms=10))
    await publisher.start()
    await publisher.wait_connected()
    publishing = asyncio.create_task(publisher.publish([Outgoing("things", b"key", LARGE)] * 3))
    (await client.next_batch()).set_result(None)
    (await client.next_batch()).set_exception(NotLeaderForPartitionError())
    with pytest.raises(BusUnavailable):
        await publishing
    assert len(client.given) == 2
    await publisher.stop()
