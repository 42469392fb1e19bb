"""Kafka's records as they come: all that can be read is, and what cannot stands in the row as Unreadable.

aiokafka raises for a batch or a record that it cannot decode, again and again, and never gets past it. It has no hook
for that, so that its reader of an answer (`PartitionRecords`) is replaced here by one that does the same, but goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint

from services.runtime.kafka import codecs
from services.runtime.kafka.bus import Incoming
from services.runtime.observability import tracing
from services.runtime.observability.failures import named

# "No timestamp" in Kafka.
NO_TIME_MS = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
# A batch whose checksum is wrong may claim any number of records. Raising it lets such a batch hide more records that
# could be read; lowering it mistrusts honest batches.
_PLAUSIBLE_RECORDS = 1 << 20
# Where a batch says its format, and which one is in use since Kafka 0.11.
_MAGIC_AT, _MAGIC = 16, 2


@dataclass(frozen=True)
class Unreadable:
    """What stands in a ConsumerRecord in place of its value: it, or all up to `last_offset`, cannot be decoded."""

    reason: str
    last_offset: int
    raw: bytes


def time_of(timestamp_ms: int) -> datetime:
    """The time of a record, the nearest one that a datetime can be; the epoch where it has none."""
    if timestamp_ms == NO_TIME_MS:
        return _EPOCH
    try:
        return _EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return _LATEST if timestamp_ms > 0 else _EARLIEST


def incoming(record: ConsumerRecord) -> Incoming:
    """A record as handlers see it. It is not Unreadable; of its headers only a meaningful traceparent is taken."""
    headers = dict(record.headers or ())
    said = headers.get(tracing.HEADER) or b""
    trace = tracing.parse(said.decode("ascii", "replace"))
    return Incoming(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key or b"",
        value=record.value,
        time=time_of(record.timestamp),
        trace=trace.header() if trace else None,
    )


class _Answer(_MemoryRecordsPy):  # type: ignore[misc]
    """The batches of a fetch's answer; `slice` holds the bytes of the last one given."""

    slice: memoryview = memoryview(b"")

    def next_batch(self, *arguments: Any) -> Any:
        self.slice = self._next_slice if self._next_slice is not None else memoryview(b"")
        return super().next_batch(*arguments)


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """Reads the records of one batch each for itself, by the length in front of it."""

    _pos: int

    def each(self) -> Iterator[tuple[int, _DefaultRecordPy | Unreadable]]:
        """(offset, record), all that can be found. Raises what decompression raises."""
        self._maybe_uncompress()
        for _ in range(self._num_records):
            length, begin = decode_varint(self._buffer, self._pos)
            end = begin + length
            if length <= 0 or end > len(self._buffer):
                raise ValueError("a record is longer than its batch")
            yield self._read(begin, end)
            self._pos = end

    def _read(self, begin: int, end: int) -> tuple[int, _DefaultRecordPy | Unreadable]:
        buffer, pos = self._buffer, begin + 1
        later_ms, pos = decode_varint(buffer, pos)
        delta, pos = decode_varint(buffer, pos)
        offset = self.base_offset + delta
        is_log_time = self.timestamp_type == self.LOG_APPEND_TIME
        time_ms = self.max_timestamp if is_log_time else self.first_timestamp + later_ms
        try:
            key, pos = _take(buffer, pos, end)
            value, pos = _take(buffer, pos, end)
            count, pos = decode_varint(buffer, pos)
            headers = []
            for _ in range(count):
                name, pos = _take(buffer, pos, end)
                said, pos = _take(buffer, pos, end)
                headers.append(((name or b"").decode("utf-8", "replace"), said))
        except (ValueError, IndexError) as error:
            return offset, Unreadable(_say(error), offset, bytes(buffer[begin:end]))
        return offset, _DefaultRecordPy(offset, time_ms, self.timestamp_type, key, value, headers)


def _take(buffer: bytearray, pos: int, end: int) -> tuple[bytes | None, int]:
    """A field with its length before it; a negative one is null."""
    length, pos = decode_varint(buffer, pos)
    if length < 0:
        return None, pos
    if pos + length > end:
        raise ValueError("a field is longer than its record")
    return bytes(buffer[pos : pos + length]), pos + length


class _Reader(fetcher.PartitionRecords):  # type: ignore[misc]
    """aiokafka's reader of one partition's answer, that never stops at what it cannot read."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        while self._records.has_next():
            before = self.next_fetch_offset
            try:
                batch = self._records.next_batch()
                next_offset = batch.next_offset
            except Exception as error:
                # Nobody knows where it ends: one offset further the broker answers anew.
                yield self._unreadable(error, before + 1)
                return
            try:
                yield from self._read(batch)
            # The decoders of others' formats may raise anything; those in Rust even what is no Exception.
            except (GeneratorExit, KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                yield from self._read_again(error, next_offset)
            self.next_fetch_offset = max(self.next_fetch_offset, next_offset)

    def _read(self, batch: Any) -> Iterator[ConsumerRecord]:
        if self._check_crcs and not batch.validate_crc():
            raise _WrongChecksum("wrong checksum")
        if self._is_aborted(batch) or batch.is_control_batch:
            return
        for record in batch:
            # A batch begins before the offset that was asked for, when that stands in its middle.
            if record.offset >= self.next_fetch_offset:
                made = self._consumer_record(self._tp, record)
                self.next_fetch_offset = record.offset + 1
                yield made

    def _is_aborted(self, batch: Any) -> bool:
        if self._isolation_level != fetcher.READ_COMMITTED or batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return bool(batch.is_transactional and batch.producer_id in self._aborted_producers)

    def _read_again(self, error: BaseException, next_offset: int) -> Iterator[ConsumerRecord]:
        """What can be read of a batch that failed; the rest of it in one piece."""
        if isinstance(error, _WrongChecksum):
            if not 0 < next_offset - self.next_fetch_offset <= _PLAUSIBLE_RECORDS:
                next_offset = self.next_fetch_offset + 1
            yield self._unreadable(error, next_offset)
            return
        try:
            if self._records.slice[_MAGIC_AT] < _MAGIC:
                raise ValueError("the format is too old to be read record by record") from error
            for offset, record in _Batch(self._records.slice).each():
                if offset < self.next_fetch_offset:
                    continue
                if isinstance(record, Unreadable):
                    yield self._stand_in(offset, record)
                else:
                    made = self._consumer_record(self._tp, record)
                    self.next_fetch_offset = offset + 1
                    yield made
        except (GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as still:
            yield self._unreadable(still, next_offset)

    def _unreadable(self, error: BaseException, next_offset: int) -> ConsumerRecord:
        next_offset = max(next_offset, self.next_fetch_offset + 1)
        unreadable = Unreadable(_say(error), next_offset - 1, bytes(self._records.slice))
        return self._stand_in(self.next_fetch_offset, unreadable)

    def _stand_in(self, offset: int, unreadable: Unreadable) -> ConsumerRecord:
        self.next_fetch_offset = unreadable.last_offset + 1
        tp = self._tp
        return ConsumerRecord(tp.topic, tp.partition, offset, NO_TIME_MS, 0, None, unreadable, None, -1, -1, ())


class _WrongChecksum(Exception):
    """A batch is not what was written."""


def _say(error: BaseException) -> str:
    return f"unreadable: {named(error)}"


# Each module of the client looks its decoders up by these names.
for module in codecs.MODULES:
    for decode in codecs.DECODERS:
        setattr(module, decode.__name__, decode)
# The fetcher looks both up in its module.
fetcher.MemoryRecords = _Answer
fetcher.PartitionRecords = _Reader
