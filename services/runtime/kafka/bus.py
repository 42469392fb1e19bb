"""What services say of Kafka's records: what is published, what handlers are given, and how they refuse."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.runtime.observability import tracing

REASON_HEADER = "x-parley-dead-letter-reason"


class PoisonRecord(Exception):
    """This record can never be handled; the message says why. It goes to the dead-letter topic."""


class TransientFailure(Exception):
    """Something else is away; the record is tried again for as long as it takes.

    `others_pass` asks whether what is away serves others: then it may be this record's own fault (suspicion.py).
    """

    def __init__(self, message: str = "", others_pass: Callable[[], Awaitable[bool]] | None = None) -> None:
        super().__init__(message)
        self.others_pass = others_pass


Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Outgoing:
    """A record to publish. A None value is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()


def trace_headers(trace: str | None) -> Headers:
    """The headers that continue a trace (the value of `traceparent`)."""
    return ((tracing.HEADER, trace.encode()),) if trace else ()


class Publisher(Protocol):
    """Publishes records; returns when all are acknowledged by all in-sync replicas, in order per key."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Errors: BusUnavailable; some of the records may have been published then. RecordRefused (errors.py): all the
        others have been."""


@dataclass(frozen=True)
class Incoming:
    """A record as handlers see it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    time: datetime
    trace: str | None


def require_key(record: Incoming, named: str, what: str) -> None:
    """Raises PoisonRecord for a record whose key is not what it is about: it came out of its order, or somebody who may
    speak of one speaks of another."""
    if record.key != named.encode():
        raise PoisonRecord(f"the key is not the {what}")


# Given records of one topic.
HandleBatch = Callable[[Sequence[Incoming]], Awaitable[None]]


def by_topic(handlers: Mapping[str, HandleBatch]) -> HandleBatch:
    """Of a consumer that reads several topics: each batch to its topic's handler."""

    async def handle(records: Sequence[Incoming]) -> None:
        await handlers[records[0].topic](records)

    return handle
