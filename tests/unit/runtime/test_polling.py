"""What a batch becomes: committed, unless its group changed in the middle of it; how long the next ones gather."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from services.runtime.config import KafkaConfig
from services.runtime.errors import StoreUnavailable
from services.runtime.kafka import polling
from services.runtime.kafka.bus import HandleBatch, Incoming, by_topic
from services.runtime.kafka.commits import Commits
from services.runtime.kafka.handling import Handling
from services.runtime.kafka.polling import Poller
from services.runtime.kafka.subscription import Subscription
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.waiting import until

PARTITION = TopicPartition("things", 0)
CONFIG = KafkaConfig("nowhere:1", idempotent=False, session_timeout_ms=6_000, fetch_wait_ms=10)


class Client:
    """Has one record, at offset 358 of an old log."""

    def __init__(self) -> None:
        self.committed: list[dict[TopicPartition, int]] = []
        # What was done with the partitions in between.
        self.held: list[str] = []
        self.error_future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fetcher = self._client = self
        # Keeps up with the cluster.
        self._sync_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[ConsumerRecord]]:
        record = ConsumerRecord("things", 0, 358, 0, 0, b"key", b"value", None, 3, 5, ())
        return {PARTITION: [record]}

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({PARTITION})

    def pause(self, *partitions: TopicPartition) -> None:
        assert partitions == (PARTITION,)
        self.held.append("paused")

    def resume(self, *partitions: TopicPartition) -> None:
        assert partitions == (PARTITION,)
        self.held.append("resumed")

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed.append(offsets)


def connected(client: Client, subscription: Subscription, handle: HandleBatch) -> tuple[Poller, Commits]:
    """A consumer of it, as after it has joined its group."""

    async def never() -> bool:
        return False

    its: Any = client
    commits = Commits(its, subscription)
    handling = Handling(handle, MemoryPublisher(), "group", ManualClock())
    return Poller(CONFIG, subscription, its, handling, commits, never), commits


@pytest.mark.parametrize(("changes", "committed"), [(False, [{PARTITION: 359}]), (True, [])])
async def test_a_batch_counts_for_the_group_that_gave_it_alone(
    changes: bool, committed: list[dict[TopicPartition, int]]
) -> None:
    """After a change it is read again. A broker that has lost its data would take its place for one in the new log."""

    async def handle(_: Sequence[Incoming]) -> None:
        if changes:
            # As the client tells it, while the batch is at work.
            commits.begin_again()

    client = Client()
    poller, commits = connected(client, Subscription(("things",), "group"), handle)
    await poller.poll()
    await commits.commit_now()
    assert client.committed == committed


@pytest.mark.parametrize(
    ("subscription", "held"),
    [
        (Subscription(("things",), "group", background=True), ["paused", "resumed"]),
        # There is more already.
        (Subscription(("things",), "group", background=True, max_batch=1), []),
        (Subscription(("things",), "group"), []),
    ],
    ids=["in the background", "a full batch", "somebody waits"],
)
async def test_records_gather_where_nobody_waits_for_them(
    subscription: Subscription, held: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handle(_: Sequence[Incoming]) -> None:
        assert not client.held

    monkeypatch.setattr(polling, "GATHER_S", 0.0)
    client = Client()
    poller, commits = connected(client, subscription, handle)
    await poller.poll()
    assert client.held == held
    await commits.commit_now()


async def test_the_batches_of_several_topics_are_handed_over_one_topic_at_a_time() -> None:
    """So that each goes to its own handler; all of it counts for the group."""
    other = TopicPartition("others", 2)

    class TwoTopics(Client):
        async def getmany(self, **_: Any) -> dict[TopicPartition, list[ConsumerRecord]]:
            return {
                partition: [ConsumerRecord(*partition, offset, 0, 0, b"key", b"value", None, 3, 5, ()) for offset in at]
                for partition, at in {PARTITION: [7], other: [4, 5], TopicPartition("things", 1): [9]}.items()
            }

        def assignment(self) -> frozenset[TopicPartition]:
            return frozenset({PARTITION, TopicPartition("things", 1), other})

    handed: list[tuple[str, list[tuple[str, int]]]] = []

    def handler(name: str) -> HandleBatch:
        async def handle(records: Sequence[Incoming]) -> None:
            handed.append((name, [(record.topic, record.offset) for record in records]))

        return handle

    handle = by_topic({"things": handler("one"), "others": handler("another")})
    client = TwoTopics()
    poller, commits = connected(client, Subscription(("things", "others"), "group"), handle)
    await poller.poll()
    assert handed == [("one", [("things", 7), ("things", 9)]), ("another", [("others", 4), ("others", 5)])]
    # Soon, though nobody asks for it.
    await until(lambda: bool(client.committed), what="the commit")
    await commits.commit_now()
    assert client.committed == [{PARTITION: 8, TopicPartition("things", 1): 10, other: 6}]


async def test_what_failed_is_not_tried_again_for_a_group_that_has_changed() -> None:
    """Whoever has the partition now may be ahead: an old "is gone" would come behind a newer "is back"."""
    tried: list[list[bytes | None]] = []

    async def handle(records: Sequence[Incoming]) -> None:
        tried.append([record.value for record in records])
        if len(tried) == 2:
            commits.begin_again()
        raise StoreUnavailable

    client = Client()
    poller, commits = connected(client, Subscription(("things",), "group"), handle)
    await poller.poll()
    # As a batch, and then alone.
    assert tried == [[b"value"], [b"value"]]
    await commits.commit_now()
    assert client.committed == []


@pytest.mark.parametrize("task", ["error_future", "_sync_task"])
async def test_a_client_of_which_a_task_has_ended_is_asked_for_nothing_more(task: str) -> None:
    """It would say nothing of it: the one gives no records any more, the other lets a partition's leader be lost."""

    async def handle(_: Sequence[Incoming]) -> None:
        pass

    client = Client()
    poller, commits = connected(client, Subscription(("things",), None), handle)
    await poller.poll()
    getattr(client, task).set_exception(RuntimeError("a fault of the client"))
    with pytest.raises(KafkaError):
        await poller.poll()
    getattr(client, task).exception()
    await commits.commit_now()
