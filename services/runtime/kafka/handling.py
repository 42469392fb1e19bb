"""What becomes of records that a consumer has read: handed over, tried again, or parked."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from aiokafka import ConsumerRecord, TopicPartition

from services.runtime import tasks
from services.runtime.clock import Clock
from services.runtime.errors import BusUnavailable, StoreUnavailable
from services.runtime.kafka import connection, dead_letters
from services.runtime.kafka.bus import HandleBatch, Incoming, Outgoing, PoisonRecord, Publisher, TransientFailure
from services.runtime.kafka.records import Unreadable, incoming
from services.runtime.kafka.suspicion import Suspicion
from services.runtime.observability import metrics, tracing
from services.runtime.observability.failures import named

log = structlog.get_logger()

# A failure that is nobody's outage is tried this often before the record is parked.
POISON_ATTEMPTS = 5
# Older than Kafka: such a time of a record was not a clock's.
_FIRST_TIME = datetime(2011, 1, 1, tzinfo=UTC)


class WaitCancelled(RuntimeError):
    """What a handler waited for was cancelled, though not the handler."""


class Handling:
    """Hands batches over at least once, each of one topic, and each partition's records in order: see KafkaConsumer."""

    def __init__(self, handle: HandleBatch, publisher: Publisher, group: str, clock: Clock) -> None:
        self._handle = handle
        self._publisher = publisher
        self._group = group
        self._clock = clock
        self._suspicion = Suspicion()

    async def take(self, came: Sequence[ConsumerRecord], are_ours: Callable[[], bool]) -> None:
        """Park what cannot be read, and hand over the rest: whoever has handled the last knows that nothing waits.

        `are_ours`: whether their partitions are this consumer's still. It ends with what is at work when they are not:
        whoever reads them now may be ahead, and what was tried again here would come behind what is newer.
        """
        for record in came:
            if isinstance(one := record.value, Unreadable):
                partition = TopicPartition(record.topic, record.partition)
                await self.park_unread(partition, record.offset, one.last_offset, one.reason, one.raw)
        readable: dict[str, list[Incoming]] = {}
        for record in came:
            if not isinstance(record.value, Unreadable):
                readable.setdefault(record.topic, []).append(incoming(record))
        for records in readable.values():
            await self._deliver(records, are_ours)

    async def _deliver(self, records: Sequence[Incoming], are_ours: Callable[[], bool]) -> None:
        """Hand over a batch; when it fails, one record at a time, so that only the culprit is parked."""
        if not are_ours():
            return
        try:
            await self._attempt(records)
        except Exception as error:
            log.info("batch_failed", topic=records[0].topic, records=len(records), error=type(error).__name__)
            for record in records:
                await self._deliver_one(record, are_ours)

    async def _deliver_one(self, record: Incoming, are_ours: Callable[[], bool]) -> None:
        attempts, delay_s = 0, 0.05
        while are_ours():
            try:
                return await self._attempt([record])
            except PoisonRecord as error:
                return await self._park(record, str(error))
            except (TransientFailure, StoreUnavailable, BusUnavailable) as error:
                log.warning("record_retried", topic=record.topic, error=type(error).__name__, retry_s=delay_s)
                if await self._is_at_fault(error):
                    return await self._park(record, f"{named(error)}, while others passed")
            except Exception as error:
                attempts += 1
                log.exception("record_failed", topic=record.topic, offset=record.offset, attempt=attempts)
                if attempts >= POISON_ATTEMPTS:
                    return await self._park(record, named(error))
            metrics.RECORDS.labels(record.topic, self._group, "retried").inc()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, connection.MAX_BACKOFF_S)
        return None

    async def _is_at_fault(self, error: Exception) -> bool:
        """Whether the record at hand is to be given up for it. Never while others are not served either."""
        ask: Callable[[], Awaitable[bool]] | None = getattr(error, "others_pass", None)
        others_pass = ask is not None and await ask()
        return self._suspicion.note_cut_off(self._clock.monotonic(), others_pass=others_pass)

    async def _attempt(self, records: Sequence[Incoming]) -> None:
        structlog.contextvars.unbind_contextvars("trace_id")
        spans = [tracing.begin(f"process {record.topic}", tracing.Kind.CONSUMER, record.trace) for record in records]
        if len(records) == 1:
            tracing.adopt(spans[0]) if spans[0] else tracing.enter(records[0].trace)
        # What the handler passes on continues the spans, also those of a batch.
        traced = [_within(record, span) for record, span in zip(records, spans, strict=True)]
        try:
            await self._handle(traced)
        except asyncio.CancelledError as error:
            if tasks.is_cancelled():
                raise
            # It came out of what the handler waited for: a failure like others.
            _end(spans, "Cancelled")
            raise WaitCancelled("what the handler waited for was cancelled") from error
        except Exception as error:
            _end(spans, type(error).__name__)
            raise
        _end(spans)
        self._suspicion.note_handled()
        now = self._clock.now()
        age = metrics.RECORD_AGE.labels(records[0].topic, self._group)
        for record, span in zip(records, spans, strict=True):
            exemplar = {"trace_id": span.context.trace_id} if span else None
            # Who writes no time, or a senseless one, says nothing of our lag.
            if record.time > _FIRST_TIME:
                age.observe(max(0.0, (now - record.time).total_seconds()), exemplar)
        metrics.RECORDS.labels(records[0].topic, self._group, "ok").inc(len(records))

    async def _park(self, record: Incoming, reason: str) -> None:
        log.error("record_parked", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
        where = dead_letters.place(record.partition, record.offset)
        letter = dead_letters.dead_letter(record.topic, record.key, record.value, reason, where)
        await self._post(record.topic, letter)

    async def park_unread(self, partition: TopicPartition, first: int, last: int, reason: str, raw: bytes) -> None:
        """Park offsets of which nothing is known but the bytes of their batch."""
        log.error(
            "record_unreadable", topic=partition.topic, partition=partition.partition, offset=first, reason=reason
        )
        where = dead_letters.place(partition.partition, first, last)
        what = (*where, (dead_letters.PART_HEADER, b"batch"))
        await self._post(partition.topic, dead_letters.dead_letter(partition.topic, b"", raw, reason, what))

    async def _post(self, topic: str, letter: Outgoing) -> None:
        metrics.RECORDS.labels(topic, self._group, "dead").inc()
        await dead_letters.post_patiently(self._publisher, letter)


def _within(record: Incoming, span: tracing.Span | None) -> Incoming:
    return replace(record, trace=span.context.header()) if span else record


def _end(spans: Sequence[tracing.Span | None], failure: str = "") -> None:
    for span in spans:
        tracing.end(span, failure)
