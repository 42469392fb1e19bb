"""Kafka: a producer that waits out outages."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, errors
from aiokafka.errors import KafkaError

from services.runtime import tasks
from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable, RecordRefused
from services.runtime.kafka import closing, connection
from services.runtime.kafka.bus import Headers, Outgoing
from services.runtime.kafka.lines import Line, lines
from services.runtime.observability import tracing

log = structlog.get_logger()

# An ack that comes later than this counts as an outage. Raising it makes callers wait longer; lowering it takes a slow
# broker for a dead one.
SEND_TIMEOUT_S = 10.0


# What is wrong with the record itself, to the broker: the same again would be refused again.
_REFUSALS = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTopicError,
    errors.CorruptRecordException,
    errors.InvalidTimestampError,
    errors.PolicyViolationError,
)


class KafkaPublisher:
    """The process's producer (acks=all). Connects in the background and again after outages."""

    name = "kafka-producer"
    essential = False

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._producer: AIOKafkaProducer | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._connecting = tasks.retry("kafka-producer-connect", self._connect)

    async def wait_connected(self) -> None:
        """Return when the broker has been reached."""
        if self._connecting:
            await asyncio.shield(self._connecting)

    async def stop(self) -> None:
        await tasks.stop(self._connecting)
        producer, self._producer = self._producer, None
        if producer:
            await closing.stop_producer(producer)
        if self._closing:
            await asyncio.gather(*self._closing)

    async def ready(self) -> bool:
        """Whether the broker has been reached."""
        return self._producer is not None

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """See Publisher."""
        traced = [_traced(record) for record in records]
        waiting = await self._lines([(record, headers) for record, headers, _ in traced])
        refused: list[Outgoing] = []
        while waiting:
            refused += await self._send_batches(waiting)
            waiting = [line for line in waiting if line.waiting]
        for *_, span in traced:
            tracing.end(span)
        if refused:
            topics = sorted({record.topic for record in refused})
            raise RecordRefused(refused, f"{len(refused)} records for {', '.join(topics)} are never taken")

    async def _lines(self, records: Sequence[tuple[Outgoing, Headers]]) -> list[Line]:
        producer = self._producer
        if producer is None:
            raise BusUnavailable("the broker is not connected yet")
        if _has_ended(producer):
            self._abandon(producer, KafkaError("one of its tasks has ended"))
            raise BusUnavailable("the client does not work any more")
        topics = {record.topic for record, _ in records}
        with _as_unavailable():
            async with asyncio.timeout(SEND_TIMEOUT_S):
                return lines(records, {topic: sorted(await producer.partitions_for(topic)) for topic in topics})

    async def _send_batches(self, waiting: Sequence[Line]) -> list[Outgoing]:
        """Send one batch of each line. The records that are never taken; all others that were sent are acknowledged."""
        unwritable: list[Outgoing] = []
        acks: list[tuple[Line, asyncio.Future[Any]]] = []
        with _as_unavailable():
            async with asyncio.timeout(SEND_TIMEOUT_S):
                producer = await self._connected()
                for line in waiting:
                    batch = producer.create_batch()
                    unwritable += line.fill(batch)
                    if line.sent:
                        ack = await producer.send_batch(batch, line.topic, partition=line.partition)
                        acks.append((line, ack))
                await asyncio.gather(*(ack for _, ack in acks), return_exceptions=True)
        return unwritable + self._refused(producer, [(line, ack.exception()) for line, ack in acks])

    def _refused(
        self, producer: AIOKafkaProducer, outcomes: Sequence[tuple[Line, BaseException | None]]
    ) -> list[Outgoing]:
        """Note what became of the batches. The records that are never taken. Raises BusUnavailable."""
        for _, failure in outcomes:
            if failure is not None:
                self._abandon(producer, failure)
        refused: list[Outgoing] = []
        for line, failure in outcomes:
            if failure is None:
                line.note_acknowledged()
            elif isinstance(failure, _REFUSALS):
                refused += line.note_refused()
            else:
                raise BusUnavailable(f"the broker did not acknowledge: {type(failure).__name__}") from failure
        return refused

    async def _connected(self) -> AIOKafkaProducer:
        """The producer. One that has just been abandoned, for the batch before, has a successor soon."""
        await self.wait_connected()
        if self._producer is None:
            raise BusUnavailable("the broker is not connected any more")
        return self._producer

    def _abandon(self, producer: AIOKafkaProducer, failure: BaseException) -> None:
        """Take a new producer in place of one that the broker has refused a batch of, or that does not work any more.

        An idempotent one has counted that batch, and the broker takes none that leaves a gap, now or later.
        """
        if not isinstance(failure, KafkaError) or failure.retriable or producer is not self._producer:
            return
        log.warning("kafka_producer_abandoned", error=type(failure).__name__)
        self._producer = None
        stopping = tasks.detached(
            closing.stop_producer(producer), name="kafka-producer-close", why="ends by its time limit"
        )
        self._closing.add(stopping)
        stopping.add_done_callback(self._closing.discard)
        self._connecting = tasks.retry("kafka-producer-connect", self._connect)

    async def _connect(self) -> None:
        # What it still has shall not come behind what its successor is given.
        if self._closing:
            await asyncio.wait(self._closing)
        delay_s = 0.2
        while True:
            try:
                self._producer = await self._open()
            except (KafkaError, OSError) as error:
                log.warning("kafka_unavailable", error=type(error).__name__, retry_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, connection.MAX_BACKOFF_S)
            else:
                log.info("kafka_producer_connected")
                return

    async def _open(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **connection.client_options(self._config),
            acks="all",
            enable_idempotence=self._config.idempotent,
            linger_ms=0,
            request_timeout_ms=int(SEND_TIMEOUT_S * 1000),
            retry_backoff_ms=50,
            metadata_max_age_ms=connection.METADATA_MAX_AGE_S * 1000,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer


def _has_ended(producer: AIOKafkaProducer) -> bool:
    """Whether a task of its own has ended, whatever by: then it sends nothing more, or finds no leader any more."""
    sender = producer._sender.sender_task
    return connection.has_ended(producer.client) or bool(sender and sender.done())


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    # The client asserts that it knows a partition: a topic that was made anew may have fewer.
    except (KafkaError, TimeoutError, OSError, AssertionError) as error:
        raise BusUnavailable(f"the broker did not acknowledge: {type(error).__name__}") from error


def _traced(record: Outgoing) -> tuple[Outgoing, Headers, tracing.Span | None]:
    """A record, and the headers and the span with which it goes."""
    headers = dict(record.headers)
    trace = headers.get(tracing.HEADER, (tracing.current_header() or "").encode()).decode("ascii", "replace")
    span = tracing.begin(f"publish {record.topic}", tracing.Kind.PRODUCER, trace)
    if trace:
        headers[tracing.HEADER] = (span.context.header() if span else trace).encode()
    return record, tuple(headers.items()), span
