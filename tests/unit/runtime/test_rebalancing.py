"""What a member is told of the partitions that its group gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup

from services.runtime.kafka import rebalancing
from services.runtime.kafka.connection import METADATA_MAX_AGE_S
from services.runtime.kafka.producer import SEND_TIMEOUT_S
from services.runtime.kafka.rebalancing import Listener

KNOWN, NOW = 16, 32


class Consumer:
    """Knows of fewer partitions than there are, until the broker is asked."""

    def __init__(self) -> None:
        self.partition_count, self.partition_count_now = KNOWN, NOW
        self.answers = True
        self.member_id = "member"
        self.joins_again = asyncio.Event()
        self._conns: dict[Any, Any] = {}
        self.coordinator_id = 1
        self._topics = {"things"}
        self._client = self._coordinator = self.cluster = self

    async def send(self, node_id: int, request: Any, *, group: int) -> Any:
        assert (node_id, request._topics, group) == (1, ["things"], ConnectionGroup.COORDINATION)
        if not self.answers:
            await asyncio.Event().wait()
        return SimpleNamespace(brokers=["one"], partition_count=self.partition_count_now)

    def update_metadata(self, answer: Any) -> None:
        self.partition_count = answer.partition_count

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == "things"
        return set(range(self.partition_count))

    def request_rejoin(self) -> None:
        self.joins_again.set()


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


OURS = {TopicPartition("things", 3), TopicPartition("things", 20)}


def listener_of(consumer: Consumer, told: Told) -> Listener:
    its: Any = consumer
    return Listener(told, its, nothing, lambda: None)


async def test_a_member_that_knew_of_fewer_partitions_is_told_how_many_there_are() -> None:
    told = Told()
    await listener_of(Consumer(), told).on_partitions_assigned(OURS)
    assert told.told == [([3, 20], NOW, "member")]


async def test_while_the_broker_does_not_answer_a_member_goes_by_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebalancing, "NEWS_TIMEOUT_S", 0)
    consumer, told = Consumer(), Told()
    consumer.answers = False
    await listener_of(consumer, told).on_partitions_assigned(OURS)
    assert told.told == [([3, 20], KNOWN, "member")]


async def test_when_there_are_more_partitions_they_are_given_out_once_more_after_the_producers_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rebalancing, "GROWN_PAUSE_S", 0)
    consumer = Consumer()
    listener = listener_of(consumer, Told())
    await listener.on_partitions_assigned(OURS)
    await listener.on_partitions_assigned(OURS)
    await asyncio.sleep(0)
    assert not consumer.joins_again.is_set()
    consumer.partition_count_now = NOW + 1
    await listener.on_partitions_assigned(OURS)
    await consumer.joins_again.wait()


def test_the_producers_know_of_more_partitions_before_they_are_given_out_once_more() -> None:
    assert rebalancing.GROWN_PAUSE_S > METADATA_MAX_AGE_S + SEND_TIMEOUT_S
