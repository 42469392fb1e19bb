"""Kafka: a producer that waits out outages."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, errors
from aiokafka.errors import KafkaError

from services.runtime import tasks
from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable, RecordRefused
from services.runtime.kafka import connection
from services.runtime.kafka.bus import Outgoing
from services.runtime.observability import tracing
from services.runtime.partitions import murmur2

log = structlog.get_logger()

# An ack that comes later than this counts as an outage. Raising it makes callers wait longer; lowering it takes a slow
# broker for a dead one.
SEND_TIMEOUT_S = 10.0


# What is wrong with the record itself, to the client or to the broker: the same again would be refused again.
_REFUSALS = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTopicError,
    errors.CorruptRecordException,
    errors.InvalidTimestampError,
    errors.PolicyViolationError,
    # Of the client, which cannot write down what it was given.
    AssertionError,
    TypeError,
    ValueError,
)
_CLOSE_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class _Sent:
    """A record on its way."""

    # None: it has not even left.
    ack: "asyncio.Future[Any] | None"
    span: tracing.Span | None
    unsent: BaseException | None = None

    def failure(self) -> BaseException | None:
        """Why it was not taken; None when it was."""
        return self.unsent if self.ack is None else self.ack.exception()


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
        if self._producer:
            await _close(self._producer)
        if self._closing:
            await asyncio.gather(*self._closing)

    async def ready(self) -> bool:
        """Whether the broker has been reached."""
        return self._producer is not None

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """See Publisher."""
        producer = self._producer
        if producer is None:
            raise BusUnavailable("the broker is not connected yet")
        refused = await self._publish(producer, records)
        if refused and len(records) > 1:
            # The broker refuses whole batches: alone, most of what was in one is taken.
            refused = [one for record in refused for one in await self._publish_alone(record)]
        if refused:
            topics = sorted({record.topic for record in refused})
            raise RecordRefused(refused, f"{len(refused)} records for {', '.join(topics)} are never taken")

    async def _publish_alone(self, record: Outgoing) -> list[Outgoing]:
        # The one before may just have been abandoned, for the record before.
        with suppress(TimeoutError):
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.wait_connected()
        if self._producer is None:
            raise BusUnavailable("the broker is not connected any more")
        return await self._publish(self._producer, [record])

    async def _publish(self, producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> list[Outgoing]:
        """The records that the broker, or the client, never takes; all others are acknowledged."""
        sent: list[_Sent] = []
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                for record in records:
                    sent.append(await self._send(producer, record))
                await asyncio.gather(*(one.ack for one in sent if one.ack), return_exceptions=True)
        except (KafkaError, TimeoutError, OSError) as error:
            raise BusUnavailable(f"the broker did not acknowledge: {type(error).__name__}") from error
        failures = [one.failure() for one in sent]
        for one, failure in zip(sent, failures, strict=True):
            if failure is not None and one.ack is not None:
                self._abandon(producer, failure)
        for failure in failures:
            if failure is not None and not isinstance(failure, _REFUSALS):
                raise BusUnavailable(f"the broker did not acknowledge: {type(failure).__name__}") from failure
        for one in sent:
            tracing.end(one.span)
        return [record for record, failure in zip(records, failures, strict=True) if failure is not None]

    async def _send(self, producer: AIOKafkaProducer, record: Outgoing) -> "_Sent":
        headers = dict(record.headers)
        trace = headers.get(tracing.HEADER, (tracing.current_header() or "").encode()).decode("ascii", "replace")
        span = tracing.begin(f"publish {record.topic}", tracing.Kind.PRODUCER, trace)
        if trace:
            headers[tracing.HEADER] = (span.context.header() if span else trace).encode()
        try:
            ack = await producer.send(record.topic, value=record.value, key=record.key, headers=list(headers.items()))
        except _REFUSALS as error:
            return _Sent(None, span, error)
        return _Sent(ack, span)

    def _abandon(self, producer: AIOKafkaProducer, failure: BaseException) -> None:
        """Take a new producer in place of one that the broker has refused a batch of.

        An idempotent one has counted that batch, and the broker takes none that leaves a gap, now or later.
        """
        if not isinstance(failure, KafkaError) or failure.retriable or producer is not self._producer:
            return
        log.warning("kafka_producer_abandoned", error=type(failure).__name__)
        self._producer = None
        self._connecting = tasks.retry("kafka-producer-connect", self._connect)
        closing = tasks.detached(_close(producer), name="kafka-producer-close", why="ends by its time limit")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _connect(self) -> None:
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
            partitioner=_partition,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer


def _partition(key: bytes, partitions: Sequence[int], _: Sequence[int]) -> int:
    """As the client's own does for records with a key, which all of ours have; that one hashes it each time anew."""
    return partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)]


async def _close(producer: AIOKafkaProducer) -> None:
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await producer.stop()
