"""Kafka: a producer that waits out outages."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.runtime import kafka, tracing
from services.runtime.bus import Outgoing
from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable

log = structlog.get_logger()

# An ack later than this counts as an outage. Higher: callers wait longer. Lower: a slow broker looks like a dead one.
SEND_TIMEOUT_S = 10.0


class KafkaPublisher:
    """The process's producer (acks=all). Connects in the background and again after outages."""

    name = "kafka-producer"
    essential = False

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._producer: AIOKafkaProducer | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._connecting = asyncio.create_task(self._connect(), name="kafka-producer-connect")

    async def wait_connected(self) -> None:
        """Return when the broker has been reached."""
        if self._connecting:
            await asyncio.shield(self._connecting)

    async def stop(self) -> None:
        await kafka.cancel(self._connecting)
        if self._producer:
            with suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(self._producer.stop(), timeout=3)

    async def ready(self) -> bool:
        """Whether the broker has been reached."""
        return self._producer is not None

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """See Publisher."""
        producer = self._producer
        if producer is None:
            raise BusUnavailable("the broker is not connected yet")
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                sent = [await self._send(producer, record) for record in records]
                await asyncio.gather(*(ack for ack, _ in sent))
        except (KafkaError, TimeoutError, OSError) as error:
            raise BusUnavailable(f"the broker did not acknowledge: {type(error).__name__}") from error
        for _, span in sent:
            tracing.end(span)

    async def _send(
        self, producer: AIOKafkaProducer, record: Outgoing
    ) -> tuple[Awaitable[object], tracing.Span | None]:
        headers = dict(record.headers)
        trace = headers.get(tracing.HEADER, (tracing.current_header() or "").encode()).decode("ascii", "replace")
        span = tracing.begin(f"publish {record.topic}", tracing.Kind.PRODUCER, trace)
        if trace:
            headers[tracing.HEADER] = (span.context.header() if span else trace).encode()
        ack: Awaitable[object] = await producer.send(
            record.topic, value=record.value, key=record.key, headers=list(headers.items())
        )
        return ack, span

    async def _connect(self) -> None:
        delay_s = 0.2
        while True:
            try:
                self._producer = await self._open()
            except (KafkaError, OSError) as error:
                log.warning("kafka_unavailable", error=type(error).__name__, retry_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, kafka.MAX_BACKOFF_S)
            else:
                log.info("kafka_producer_connected")
                return

    async def _open(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **kafka.connection(self._config),
            acks="all",
            enable_idempotence=self._config.idempotent,
            linger_ms=0,
            request_timeout_ms=int(SEND_TIMEOUT_S * 1000),
            retry_backoff_ms=50,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer
