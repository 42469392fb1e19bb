"""What a consumer does while it is connected: it waits for records, hands them over (handling.py), and rests."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, RecordTooLargeError

from services.runtime.config import KafkaConfig
from services.runtime.kafka import connection
from services.runtime.kafka.commits import Commits
from services.runtime.kafka.handling import Handling
from services.runtime.kafka.subscription import Subscription

# How long a background subscription lets records gather after a batch that was not full. Raising it takes fewer
# requests and larger batches; lowering it does sooner what the second and later records of a busy time cause.
GATHER_S = 0.5
# How long one call waits for records. They end the wait, so it only says how soon an error of the group is noticed.
POLL_TIMEOUT_MS = 5_000
# With a broker whose fetches do not wait: how long nothing must come until the consumer rests, and how long it then
# looks for records between two pauses.
QUIET_MS = 1_000
LOOK_MS = 30


class Poller:
    """Of one connection of a consumer. `topics_changed`: whether what came may be of other topics than before."""

    def __init__(
        self,
        config: KafkaConfig,
        subscription: Subscription,
        client: AIOKafkaConsumer,
        handling: Handling,
        commits: Commits,
        topics_changed: Callable[[], Awaitable[bool]],
    ) -> None:
        self._idle_pause_ms = config.idle_pause_ms
        self._subscription = subscription
        self._client = client
        self._handling = handling
        self._commits = commits
        self._topics_changed = topics_changed
        self._resting = False
        # Without a group: up to where the topic reached when we came, of the partitions that are not read so far yet.
        self._behind: dict[TopicPartition, int] = {}

    @property
    def is_behind(self) -> bool:
        """Whether something is still to be read that was there before. Of a consumer without a group."""
        return bool(self._behind)

    async def find_ends(self) -> None:
        """Learn what is there already. Of a consumer without a group."""
        ends = await self._client.end_offsets(self._client.assignment())
        self._behind = {partition: end for partition, end in ends.items() if end > 0}

    async def poll(self) -> None:
        """Wait for a batch, once, and do all that is to be done about it. Raises KafkaError, OSError."""
        client = self._client
        if client._fetcher.error_future.done() or connection.has_ended(client._client):
            # Else it would give nothing for ever, and say nothing.
            raise KafkaError("the client fetches no more")
        try:
            fetched = await client.getmany(timeout_ms=self._timeout_ms(), max_records=self._subscription.max_batch)
        except RecordTooLargeError as error:
            # A broker that does not give a record that is larger than a fetch. The client goes on behind it.
            _, partition, offset, *_ = error.args
            await self._handling.park_unread(partition, offset, offset, "larger than a fetch", b"")
            return
        assignments = self._commits.assignments
        self._resting = not fetched and self._idle_pause_ms > 0
        if self._resting:
            await self._rest()
        if fetched:
            await self._refuse_other_topics()
            came = [record for records in fetched.values() for record in records]
            await self._handling.take(came, lambda: self._commits.assignments == assignments)
        if self._behind:
            # Compaction may have taken the last records, so that positions tell it, and not what came.
            positions = {partition: await client.position(partition) for partition in self._behind}
            self._behind = {one: end for one, end in self._behind.items() if positions[one] < end}
        if not fetched:
            return
        if self._subscription.group is not None:
            self._commits.note_handled(fetched, assignments)
        if self._subscription.background and sum(map(len, fetched.values())) < self._subscription.max_batch:
            await self._pause(GATHER_S)

    async def _refuse_other_topics(self) -> None:
        if await self._topics_changed():
            self._commits.begin_again()
            raise KafkaError("the topics are others than before")

    def _timeout_ms(self) -> int:
        if self._idle_pause_ms == 0:
            return POLL_TIMEOUT_MS
        return LOOK_MS if self._resting else QUIET_MS

    async def _rest(self) -> None:
        """Ask for nothing for a while: this broker answers a fetch that finds nothing at once."""
        await self._pause(self._idle_pause_ms * self._subscription.patience / 1000)

    async def _pause(self, pause_s: float) -> None:
        """Ask for nothing for so long, also not in advance."""
        paused = self._client.assignment()
        self._client.pause(*paused)
        await asyncio.sleep(pause_s)
        # What the group has taken from us meanwhile cannot be resumed.
        self._client.resume(*(paused & self._client.assignment()))
