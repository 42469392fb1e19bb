"""What a member is told of the partitions that its group gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from aiokafka import TopicPartition

from services.runtime.kafka import rebalancing
from services.runtime.kafka.rebalancing import Listener

KNOWN, NOW = 16, 32


class Consumer:
    """Knows of fewer partitions than there are, until the broker is asked."""

    def __init__(self) -> None:
        self.partition_count = KNOWN
        self.answers = True
        self.member_id = "member"
        self._conns: dict[Any, Any] = {}
        self._client = self._coordinator = self

    async def force_metadata_update(self) -> bool:
        if not self.answers:
            await asyncio.Event().wait()
        self.partition_count = NOW
        return True

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == "things"
        return set(range(self.partition_count))


class Told:
    """What the service was told."""

    def __init__(self) -> None:
        self.told: list[tuple[list[int], int, str]] = []

    async def on_assigned(self, partitions: Collection[int], partition_count: int, member_id: str) -> None:
        self.told.append((sorted(partitions), partition_count, member_id))

    async def on_revoked(self) -> None:
        raise AssertionError


async def nothing() -> None:
    pass


async def assign(consumer: Consumer) -> list[tuple[list[int], int, str]]:
    told = Told()
    its: Any = consumer
    listener = Listener(told, its, nothing, lambda: None)
    await listener.on_partitions_assigned({TopicPartition("things", 3), TopicPartition("things", 20)})
    return told.told


async def test_a_member_that_knew_of_fewer_partitions_is_told_how_many_there_are() -> None:
    assert await assign(Consumer()) == [([3, 20], NOW, "member")]


async def test_while_the_broker_does_not_answer_a_member_goes_by_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebalancing, "NEWS_TIMEOUT_S", 0)
    consumer = Consumer()
    consumer.answers = False
    assert await assign(consumer) == [([3, 20], KNOWN, "member")]
