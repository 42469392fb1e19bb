"""Kafka: consumers that read, and commit what was handled (polling.py, handling.py, commits.py)."""

import asyncio
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from services.runtime import tasks
from services.runtime.clock import Clock, SystemClock
from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable
from services.runtime.kafka import closing, connection
from services.runtime.kafka.bus import HandleBatch, Publisher
from services.runtime.kafka.commits import Commits
from services.runtime.kafka.groups import KafkaGroup
from services.runtime.kafka.handling import Handling
from services.runtime.kafka.polling import POLL_TIMEOUT_MS, Poller
from services.runtime.kafka.rebalancing import Listener, Rebalanced
from services.runtime.kafka.subscription import Subscription
from services.runtime.kafka.topic_ids import KnownTopics

log = structlog.get_logger()


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
        group = subscription.group or ""
        self._topics = ", ".join(subscription.topics)
        self.name = f"kafka-consumer-{group or self._topics}"
        self._config = config
        self._subscription = subscription
        self._handling = Handling(handle, publisher, group, clock or SystemClock())
        self._listener = listener
        self._task: asyncio.Task[None] | None = None
        # Of the connection that is open or being opened.
        self._client: AIOKafkaConsumer | None = None
        self._commits: Commits | None = None
        # While it is connected.
        self._poller: Poller | None = None

    async def start(self) -> None:
        self._task = tasks.keep(self.name, self._run, label="kafka-consumer")

    async def stop(self) -> None:
        await tasks.stop(self._task)
        await self._close()

    async def ready(self) -> bool:
        """Whether the consumer is a member of its group; without one, whether it has read all that was there before."""
        return self._poller is not None and not self._poller.is_behind

    async def _run(self) -> None:
        delay_s = 0.2
        while True:
            try:
                poller = await self._open()
                delay_s = 0.2
                while True:
                    await poller.poll()
            except (KafkaError, OSError) as error:
                log.warning("kafka_unavailable", topics=self._topics, error=type(error).__name__, retry_s=delay_s)
            finally:
                # Also before what is no outage: whoever begins again opens another one.
                await self._close()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, connection.MAX_BACKOFF_S)

    async def _open(self) -> Poller:
        subscription = self._subscription
        client = AIOKafkaConsumer(
            **connection.client_options(self._config),
            group_id=subscription.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=subscription.session_ms(self._config),
            heartbeat_interval_ms=subscription.heartbeat_ms(self._config),
            fetch_max_wait_ms=self._config.fetch_wait_ms,
            retry_backoff_ms=100,
            metadata_max_age_ms=connection.METADATA_MAX_AGE_S * 1000,
            # It looks around so often though nothing has happened; whatever happens wakes it.
            consumer_timeout_ms=POLL_TIMEOUT_MS,
        )
        commits = Commits(client, subscription)
        self._client, self._commits = client, commits
        # Without a group the client assigns itself every partition.
        listener = Listener(self._listener, client, commits.commit_now, commits.begin_again)
        client.subscribe(list(subscription.topics), listener=listener)
        await client.start()
        known = KnownTopics(client, subscription.topics)
        await known.are_others()
        poller = Poller(self._config, subscription, client, self._handling, commits, known.are_others)
        if subscription.group is None:
            await poller.find_ends()
        self._poller = poller
        log.info("kafka_consumer_connected", topics=self._topics)
        return poller

    async def _close(self) -> None:
        is_member, self._poller = self._poller is not None, None
        client, self._client = self._client, None
        commits, self._commits = self._commits, None
        if client and commits:
            with suppress(TimeoutError, KafkaError, OSError):
                # What was handled shall be committed also when the consumer is stopped.
                async with asyncio.timeout(2):
                    await commits.commit_now()
            if is_member or self._subscription.group is None:
                await closing.stop(client)
            else:
                await self._stop_joining(client, self._subscription.group)

    async def _stop_joining(self, client: AIOKafkaConsumer, group: str) -> None:
        """Stop one that its group has not taken in yet: the client would wait until all others have noticed, which in
        a background group takes seconds, and what it says to the broker meanwhile waits behind that."""
        member_id = closing.member_id_of(client)
        await closing.abandon(client)
        if member_id:
            # Else the group would give it partitions, and miss it only after the session.
            with suppress(BusUnavailable):
                await KafkaGroup(self._config, group).expel(member_id)
