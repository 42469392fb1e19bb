"""What a member of a group commits: what was handled since the group gave out its partitions, and nothing of before."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from services.runtime import tasks
from services.runtime.kafka.records import Unreadable
from services.runtime.kafka.subscription import Subscription

log = structlog.get_logger()

# The time between a consumer's commits. Raising it repeats more after a kill; lowering it costs the broker a commit for
# each batch.
COMMIT_INTERVAL_S = 0.5


class Commits:
    """Of one connection of a consumer to its group."""

    def __init__(self, client: AIOKafkaConsumer, subscription: Subscription) -> None:
        self._client = client
        self._topics = ", ".join(subscription.topics)
        self._interval_s = COMMIT_INTERVAL_S * subscription.patience
        # How often the group has given out its partitions.
        self.assignments = 0
        # What is to be committed next: the offset after the last record handled.
        self._handled: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None

    def note_handled(self, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]], assignments: int) -> None:
        """Have these committed soon, in the background; `assignments` is as it was when they came."""
        if assignments != self.assignments:
            return
        self._handled |= {partition: _last_offset(records[-1]) + 1 for partition, records in fetched.items()}
        if self._committing is None or self._committing.done():
            self._committing = tasks.detached(
                self._commit_soon(), name="kafka-commit", why="ends when all is committed"
            )

    def begin_again(self) -> None:
        """Count nothing that was read before: from here on it is read again, from what the group has committed.

        A broker that comes back without its data begins new logs. The place in an old one would be committed for a new
        one, where other records stand before it.
        """
        self.assignments += 1
        self._handled.clear()

    async def commit_now(self) -> None:
        """Commit as what the group takes us for: the client tries a commit again also after the group has changed."""
        await tasks.stop(self._committing)
        self._committing = None
        await self._commit()

    async def _commit_soon(self) -> None:
        """Commit, and then what was handled meanwhile, until there is no more: the next batch waits for none of it."""
        while self._handled:
            await self._commit()
            await asyncio.sleep(self._interval_s)

    async def _commit(self) -> None:
        handled, self._handled = self._handled, {}
        # A batch that was at work during a rebalance may hold partitions that are others' now.
        offsets = {partition: handled[partition] for partition in handled.keys() & self._client.assignment()}
        try:
            if offsets:
                await self._client.commit(offsets)
        except asyncio.CancelledError:
            self._handled = {**offsets, **self._handled}
            raise
        except (KafkaError, OSError) as error:
            # The partitions moved, or the broker went: whoever reads on repeats the batch, which handlers bear.
            log.info("commit_refused", topics=self._topics, error=type(error).__name__)


def _last_offset(record: ConsumerRecord) -> int:
    return record.value.last_offset if isinstance(record.value, Unreadable) else int(record.offset)
