"""When a consumer finds that its topics are others than before, as a broker without its data makes them anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup

from services.runtime.kafka.topic_ids import KnownTopics

FIRST = {"calls": b"c" * 16, "messages": b"m" * 16}


class Broker:
    """As a consumer's client sees it. `ids`: of the topics that it has."""

    def __init__(self) -> None:
        self.ids = FIRST
        self.asked = 0
        self._conns: dict[Any, Any] = {}
        self.come_back(FIRST)

    def come_back(self, ids: dict[str, bytes]) -> None:
        self.ids = ids
        self._conns = {(1, ConnectionGroup.DEFAULT): SimpleNamespace(connected=lambda: True)}

    def get_random_node(self) -> int:
        return 1

    async def send(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        # Kafka's UNKNOWN_TOPIC_OR_PARTITION.
        missing = [(3, name, bytes(16), False, [], 0, {}) for name in FIRST.keys() - self.ids.keys()]
        return SimpleNamespace(topics=missing + [(0, name, id_, False, [], 0, {}) for name, id_ in self.ids.items()])


@pytest.fixture
async def known_and_broker() -> tuple[KnownTopics, Broker]:
    broker = Broker()
    known = KnownTopics(SimpleNamespace(_client=broker), list(FIRST))
    assert not await known.are_others()
    return known, broker


async def test_a_broker_that_comes_back_with_its_data_has_the_same(
    known_and_broker: tuple[KnownTopics, Broker],
) -> None:
    known, broker = known_and_broker
    broker.come_back(FIRST)
    assert not await known.are_others()
    assert not await known.are_others()
    # Once for each set of connections.
    assert broker.asked == 2


async def test_one_that_is_another_is_found_while_the_rest_is_still_being_made(
    known_and_broker: tuple[KnownTopics, Broker],
) -> None:
    """What came is of that one: from the midst of it, where the place in the old one was."""
    known, broker = known_and_broker
    broker.come_back({"messages": b"n" * 16})
    assert await known.are_others()


async def test_what_is_not_there_yet_is_asked_for_again(known_and_broker: tuple[KnownTopics, Broker]) -> None:
    known, broker = known_and_broker
    broker.come_back({"messages": FIRST["messages"]})
    assert not await known.are_others()
    broker.ids = {"messages": FIRST["messages"], "calls": b"d" * 16}
    assert await known.are_others()
