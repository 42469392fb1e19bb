"""What a consumer does when its partitions change."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from services.runtime.kafka.connection import METADATA_MAX_AGE_S

log = structlog.get_logger()

# How long a member asks for news of its topic before it goes by what it knows. Raising it lets a broker that hangs keep
# a replica from its work; lowering it goes on with an old number of partitions while the broker is merely slow.
NEWS_TIMEOUT_S = 3.0
# How long after a topic was found to have more partitions the group gives them out once more: when the last producer
# knows of them, and what it sent before has come. Raising it leaves what went to the old partition of its key for
# longer; lowering it misses what a slow producer sent there.
GROWN_PAUSE_S = METADATA_MAX_AGE_S + 15.0


class Rebalanced(Protocol):
    """Told when the partitions of a consumer change, while its records wait."""

    async def on_assigned(self, partitions: Collection[int], partition_count: int, member_id: str) -> None:
        """All partitions of the topic that this member has from now on, of so many; and what the group calls it."""

    async def on_revoked(self) -> None:
        """No partition is ours until the next `on_assigned`."""


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Commits before partitions go, and tells whoever must know."""

    def __init__(
        self,
        listener: Rebalanced | None,
        consumer: AIOKafkaConsumer,
        commit: Callable[[], Awaitable[None]],
        begin_again: Callable[[], None],
    ) -> None:
        self._listener = listener
        self._consumer = consumer
        self._commit = commit
        self._begin_again = begin_again
        self._partition_count = 0

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        if revoked:
            # So that the next owner repeats no more than a batch that is at work.
            await self._commit()
        if self._listener and revoked:
            await self._listener.on_revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        log.info("partitions_assigned", partitions=len(assigned))
        self._begin_again()
        _end_held_fetches(self._consumer)
        if self._listener and assigned:
            topic = next(iter(assigned)).topic
            await _learn_partitions(self._consumer)
            count = len(self._consumer.partitions_for_topic(topic) or ())
            if self._partition_count not in (0, count):
                self._join_again_later()
            self._partition_count = count
            # The client has no public way to ask for it. No log or metric depends on it.
            member_id = str(self._consumer._coordinator.member_id)
            await self._listener.on_assigned({partition.partition for partition in assigned}, count, member_id)

    def _join_again_later(self) -> None:
        """Be given the partitions once more when all producers know of the new ones.

        Until then some send a key's records to its old partition, and whoever has that one may have nobody to give them
        to. The client has no public way to ask for it.
        """
        join_again = self._consumer._coordinator.request_rejoin
        asyncio.get_running_loop().call_later(GROWN_PAUSE_S, join_again)


async def _learn_partitions(consumer: AIOKafkaConsumer) -> None:
    """Ask how many partitions there are now.

    The client has only the leader of a group look whether there are more than before. Another member may know of fewer
    than it was given some of, and would go by their number until the group changes again. It has no public way to ask.
    """
    client = consumer._client
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(NEWS_TIMEOUT_S):
            # Not by the connection of the fetches, where the answer would come after one that is held.
            request, node = MetadataRequest(list(client._topics) or None), consumer._coordinator.coordinator_id
            answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        if answer.brokers:
            client.cluster.update_metadata(answer)


def _end_held_fetches(consumer: AIOKafkaConsumer) -> None:
    """Close the connections by which the client fetches; it opens them anew with its next request.

    A broker holds a fetch that finds nothing, and answers what comes on the same connection only after it. The client
    forgets the fetch of the partitions that it had, but would ask for its new ones behind it. It has no public way to
    end one.
    """
    for (_, group), connection in list(consumer._client._conns.items()):
        if group == ConnectionGroup.DEFAULT:
            connection.close()
