"""Records on their way to one partition: each batch is sent when the one before it is acknowledged.

The client keeps what it was given, also when its caller has given up, and sends it when the broker is back. A batch
that ran out of its time or was refused is dropped, and those behind it go on: with two of one partition under way, the
later one would be there first, and the earlier one with the next attempt.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from services.runtime.kafka.bus import Headers, Outgoing
from services.runtime.partitions import murmur2

# The default of brokers. Raising it lets them refuse larger ones, each with the batch that it is in; lowering it
# refuses what they would take.
MAX_RECORD_BYTES = 1 << 20
# What is wrong with the record itself, to the client, which cannot write down what it was given.
_UNWRITABLE = (MessageSizeTooLargeError, AssertionError, TypeError, ValueError)


@dataclass
class Line:
    """Those of one partition. `waiting`: with the headers that each goes with."""

    topic: str
    partition: int
    waiting: deque[tuple[Outgoing, Headers]] = field(default_factory=deque)
    # In the batch that is under way.
    sent: list[tuple[Outgoing, Headers]] = field(default_factory=list)
    # So many of the first go each by itself: the broker refused the batch that they were in.
    alone: int = 0

    def fill(self, batch: Any) -> list[Outgoing]:
        """Put the first ones into a new batch (the client's), as many as it takes. Given back: those that cannot be
        written down."""
        unwritable = []
        while self.waiting and not (self.sent and self.alone):
            record, headers = self.waiting[0]
            try:
                is_in = _append(batch, record, headers)
            except _UNWRITABLE:
                unwritable.append(record)
                self.waiting.popleft()
                self._count_alone(1)
                continue
            if not is_in:
                break
            self.sent.append(self.waiting.popleft())
        return unwritable

    def note_acknowledged(self) -> None:
        """The batch is there."""
        self._count_alone(len(self.sent))
        self.sent.clear()

    def note_refused(self) -> list[Outgoing]:
        """The broker never takes the batch: of several records each is tried alone, since it refuses all of a batch for
        one. Given back: the only one."""
        sent, self.sent = self.sent, []
        if len(sent) == 1:
            self._count_alone(1)
            return [record for record, _ in sent]
        self.alone = len(sent)
        self.waiting.extendleft(reversed(sent))
        return []

    def _count_alone(self, ended: int) -> None:
        self.alone = max(0, self.alone - ended)


def lines(records: Iterable[tuple[Outgoing, Headers]], partitions: dict[str, Sequence[int]]) -> list[Line]:
    """The records by partition, as Kafka's default partitioner has it. `partitions`: of each topic, ascending."""
    found: dict[tuple[str, int], Line] = {}
    for record, headers in records:
        of_topic = partitions[record.topic]
        place = record.topic, of_topic[(murmur2(record.key) & 0x7FFFFFFF) % len(of_topic)]
        if place not in found:
            found[place] = Line(*place)
        found[place].waiting.append((record, headers))
    return list(found.values())


def _append(batch: Any, record: Outgoing, headers: Headers) -> bool:
    """Whether it found room. Raises what is in _UNWRITABLE."""
    size = DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, list(headers))
    if size > MAX_RECORD_BYTES:
        raise MessageSizeTooLargeError
    return batch.append(timestamp=None, key=record.key, value=record.value, headers=list(headers)) is not None
