"""Kafka: consumers that read, and commit what was handled (handling.py)."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, RecordTooLargeError

from services.runtime import tasks
from services.runtime.clock import Clock, SystemClock
from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable
from services.runtime.kafka import closing, connection
from services.runtime.kafka.bus import HandleBatch, Publisher
from services.runtime.kafka.groups import KafkaGroup
from services.runtime.kafka.handling import Handling
from services.runtime.kafka.rebalancing import Listener, Rebalanced
from services.runtime.kafka.records import Unreadable
from services.runtime.kafka.topic_ids import KnownTopics

log = structlog.get_logger()

# The time between a consumer's commits. Raising it repeats more after a kill; lowering it costs the broker a commit for
# each batch.
COMMIT_INTERVAL_S = 0.5
# How long a background subscription lets records gather after a batch that was not full. Raising it takes fewer
# requests and larger batches; lowering it does sooner what the second and later records of a busy time cause.
GATHER_S = 0.5
# A member learns at its next heartbeat that the group changes, and until all have learned it nobody has the partitions
# that move. Raising it makes each rollout stop the records of a group for longer (a third of the session, 2 s, would
# double the wait to save a request each two seconds); lowering it costs the broker and the service more small requests
# while nothing happens.
MAX_HEARTBEAT_MS = 1_000
# How many times later the partitions of a background subscription's dead member move, and how many times longer it
# rests and leaves uncommitted what it handled. Raising it saves requests; lowering it moves them sooner, and repeats
# less after a kill.
BACKGROUND_FACTOR = 5
# How long one call waits for records. They end the wait, so it only says how soon an error of the group is noticed.
POLL_TIMEOUT_MS = 5_000
# With a broker whose fetches do not wait: how long nothing must come until the consumer rests, and how long it then
# looks for records between two pauses.
QUIET_MS = 1_000
LOOK_MS = 30


@dataclass(frozen=True)
class Subscription:
    """What a consumer reads, and how.

    Each consumer costs the broker and its service some requests a second though nothing happens, so that topics whose
    records need the same things to be there are read together. Their batches are handled one after another: while one
    topic's record is tried again, the others wait too. What may fail for reasons of its own has its own subscription.
    """

    topics: tuple[str, ...]
    # Members of a group share the partitions. None: read everything from the start, and commit nothing.
    group: str | None
    # The most records in a batch. Raising it takes fewer round trips; lowering it repeats less after a failure.
    max_batch: int = 200
    # Nobody waits for what these records cause. After a pause the first still comes at once from a broker whose fetches
    # wait; those that follow it gather (GATHER_S). A change of the group takes seconds, and with other brokers the
    # first record after a pause is later.
    background: bool = False
    # Records may wait twice as long for a change of the group: nobody looks at what they cause.
    unhurried: bool = False


class KafkaConsumer:
    """Reads topics, and hands over batches, each of one topic, at least once, and each partition's records in order.

    Success is committed. TransientFailure, StoreUnavailable and BusUnavailable are retried with back-off without end;
    PoisonRecord, any other exception after POISON_ATTEMPTS (handling.py), and one that has `others_pass`
    (StatementCutOff), again and again while others are served (suspicion.py), park the record in `<topic>.dlq`, and so
    does what cannot be read at all (records.py).
    """

    def __init__(
        self,
        config: KafkaConfig,
        subscription: Subscription,
        handle: HandleBatch,
        publisher: Publisher,
        listener: Rebalanced | None = None,
        clock: Clock | None = None,
        *,
        essential: bool = False,
    ) -> None:
        self.essential = essential
        self._group = subscription.group or ""
        self._topics = ", ".join(subscription.topics)
        self.name = f"kafka-consumer-{subscription.group or self._topics}"
        self._config = config
        self._subscription = subscription
        self._handling = Handling(handle, publisher, self._group, clock or SystemClock())
        self._listener = listener
        self._consumer: AIOKafkaConsumer | None = None
        self._known: KnownTopics | None = None
        self._task: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        # What is to be committed next: the offset after the last record handled.
        self._handled: dict[TopicPartition, int] = {}
        # How often the group has given out its partitions.
        self._assignments = 0
        self._connected = False
        self._resting = False
        # Without a group: up to where the topic reached when we came, of the partitions that are not read so far yet.
        self._behind: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        self._task = tasks.keep(self.name, self._run, label="kafka-consumer")

    async def stop(self) -> None:
        await tasks.stop(self._task)
        await self._close()

    async def ready(self) -> bool:
        """Whether the consumer is a member of its group; without one, whether it has read all that was there before."""
        return self._connected and not self._behind

    async def _run(self) -> None:
        delay_s = 0.2
        while True:
            try:
                await self._open()
                delay_s = 0.2
                while True:
                    await self._poll()
            except (KafkaError, OSError) as error:
                log.warning("kafka_unavailable", topics=self._topics, error=type(error).__name__, retry_s=delay_s)
            finally:
                # Also before what is no outage: whoever begins again opens another one.
                await self._close()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, connection.MAX_BACKOFF_S)

    async def _open(self) -> None:
        consumer = AIOKafkaConsumer(
            **connection.client_options(self._config),
            group_id=self._subscription.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self._session_ms(),
            heartbeat_interval_ms=self._heartbeat_ms(),
            fetch_max_wait_ms=self._config.fetch_wait_ms,
            retry_backoff_ms=100,
            metadata_max_age_ms=30_000,
            # It looks around so often though nothing has happened; whatever happens wakes it.
            consumer_timeout_ms=POLL_TIMEOUT_MS,
        )
        self._consumer = consumer
        # Without a group the client assigns itself every partition.
        listener = Listener(self._listener, consumer, self._commit_now, self._begin_again)
        consumer.subscribe(list(self._subscription.topics), listener=listener)
        await consumer.start()
        self._known = KnownTopics(consumer, self._subscription.topics)
        await self._known.are_others()
        if self._subscription.group is None:
            ends = await consumer.end_offsets(consumer.assignment())
            self._behind = {partition: end for partition, end in ends.items() if end > 0}
        self._connected = True
        log.info("kafka_consumer_connected", topics=self._topics)

    def _session_ms(self) -> int:
        return self._config.session_timeout_ms * self._patience()

    def _patience(self) -> int:
        return BACKGROUND_FACTOR if self._subscription.background else 1

    def _heartbeat_ms(self) -> int:
        session_ms = self._session_ms()
        if self._subscription.background or self._subscription.unhurried:
            return session_ms // 3
        return min(session_ms // 6, MAX_HEARTBEAT_MS)

    async def _close(self) -> None:
        is_member, self._connected = self._connected, False
        self._resting = False
        consumer, self._consumer = self._consumer, None
        if consumer:
            with suppress(TimeoutError, KafkaError, OSError):
                # What was handled shall be committed also when the consumer is stopped.
                async with asyncio.timeout(2):
                    await self._commit_now(consumer)
            if is_member or self._subscription.group is None:
                await closing.stop(consumer)
            else:
                await self._stop_joining(consumer, self._subscription.group)

    async def _stop_joining(self, consumer: AIOKafkaConsumer, group: str) -> None:
        """Stop one that its group has not taken in yet: the client would wait until all others have noticed, which in
        a background group takes seconds, and what it says to the broker meanwhile waits behind that."""
        member_id = closing.member_id_of(consumer)
        await closing.abandon(consumer)
        if member_id:
            # Else the group would give it partitions, and miss it only after the session.
            with suppress(BusUnavailable):
                await KafkaGroup(self._config, group).expel(member_id)

    async def _poll(self) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        if consumer._fetcher.error_future.done():
            # Else it would give nothing for ever, and say nothing.
            raise KafkaError("the client fetches no more")
        try:
            fetched = await consumer.getmany(
                timeout_ms=self._poll_timeout_ms(), max_records=self._subscription.max_batch
            )
        except RecordTooLargeError as error:
            # A broker that does not give a record that is larger than a fetch. The client goes on behind it.
            _, partition, offset, *_ = error.args
            await self._handling.park_unread(partition, offset, offset, "larger than a fetch", b"")
            return
        assignments = self._assignments
        self._resting = not fetched and self._config.idle_pause_ms > 0
        if self._resting:
            await self._rest(consumer)
        if fetched:
            await self._refuse_other_topics()
            await self._handling.take([record for records in fetched.values() for record in records])
        if self._behind:
            # Compaction may have taken the last records, so that positions tell it, and not what came.
            positions = {partition: await consumer.position(partition) for partition in self._behind}
            self._behind = {one: end for one, end in self._behind.items() if positions[one] < end}
        if not fetched:
            return
        if self._subscription.group is not None and assignments == self._assignments:
            self._note_handled(consumer, fetched)
        if self._subscription.background and sum(map(len, fetched.values())) < self._subscription.max_batch:
            await self._pause(consumer, GATHER_S)

    async def _refuse_other_topics(self) -> None:
        if self._known and await self._known.are_others():
            self._begin_again()
            raise KafkaError("the topics are others than before")

    def _note_handled(
        self, consumer: AIOKafkaConsumer, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> None:
        self._handled |= {partition: _last_offset(records[-1]) + 1 for partition, records in fetched.items()}
        if self._committing is None or self._committing.done():
            self._committing = tasks.detached(
                self._commit_soon(consumer), name="kafka-commit", why="ends when all is committed"
            )

    def _begin_again(self) -> None:
        """Count nothing that was read before: from here on it is read again, from what the group has committed.

        A broker that comes back without its data begins new logs. The place in an old one would be committed for a new
        one, where other records stand before it.
        """
        self._assignments += 1
        self._handled.clear()

    def _poll_timeout_ms(self) -> int:
        if self._config.idle_pause_ms == 0:
            return POLL_TIMEOUT_MS
        return LOOK_MS if self._resting else QUIET_MS

    async def _rest(self, consumer: AIOKafkaConsumer) -> None:
        """Ask for nothing for a while: this broker answers a fetch that finds nothing at once."""
        await self._pause(consumer, self._config.idle_pause_ms * self._patience() / 1000)

    async def _pause(self, consumer: AIOKafkaConsumer, pause_s: float) -> None:
        """Ask for nothing for so long, also not in advance."""
        paused = consumer.assignment()
        consumer.pause(*paused)
        await asyncio.sleep(pause_s)
        # What the group has taken from us meanwhile cannot be resumed.
        consumer.resume(*(paused & consumer.assignment()))

    async def _commit_soon(self, consumer: AIOKafkaConsumer) -> None:
        """Commit, and then what was handled meanwhile, until there is no more: the next batch waits for none of it."""
        while self._handled:
            await self._commit(consumer)
            await asyncio.sleep(COMMIT_INTERVAL_S * self._patience())

    async def _commit_now(self, consumer: AIOKafkaConsumer) -> None:
        """Commit as what the group takes us for: the client tries a commit again also after the group has changed."""
        await tasks.stop(self._committing)
        self._committing = None
        await self._commit(consumer)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        handled, self._handled = self._handled, {}
        # A batch that was at work during a rebalance may hold partitions that are others' now.
        offsets = {partition: handled[partition] for partition in handled.keys() & consumer.assignment()}
        try:
            if offsets:
                await consumer.commit(offsets)
        except asyncio.CancelledError:
            self._handled = {**offsets, **self._handled}
            raise
        except (KafkaError, OSError) as error:
            # The partitions moved, or the broker went: whoever reads on repeats the batch, which handlers bear.
            log.info("commit_refused", topics=self._topics, error=type(error).__name__)


def _last_offset(record: ConsumerRecord) -> int:
    return record.value.last_offset if isinstance(record.value, Unreadable) else int(record.offset)
