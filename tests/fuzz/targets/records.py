"""Answers of a broker: the reader goes on past what it cannot read, and never stands still."""

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher

from services.runtime.kafka import records
from tests.support.odd_records import batch, replaced

_PLACE = TopicPartition("delivery.v1", 0)
SEEDS = (
    batch((b"key", b"value", 1_700_000_000_000, [("traceparent", b"00-x")])),
    batch((None, None, -1, [])) + batch((b"k", b"v", 0, [])),
    batch((b"key", b"value", 0, []), change=replaced(b"value", b"\xff\xff\xff\xff\xff")),
)
LINES_PER_BYTE = 600


def fuzz(data: bytes) -> None:
    """Raises for anything that is not a record or stands for one, in ascending order."""
    # By the names under which the client finds ours.
    answer = fetcher.MemoryRecords(data)
    reader = fetcher.PartitionRecords(_PLACE, answer, [], 0, None, None, True, fetcher.READ_UNCOMMITTED)
    last = -1
    for record in reader:
        assert record.offset > last or isinstance(record.value, records.Unreadable)
        last = max(last, record.offset)
        if isinstance(record.value, records.Unreadable):
            assert record.value.last_offset >= 0
        else:
            records.incoming(record)
