"""Record batches as another client may write them, sent to a broker as they are."""

import struct
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import NotLeaderForPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

# Where a batch's checksum stands, from where on it counts, and where its attributes and records stand.
_CRC_AT, _COUNTED_FROM, ATTRIBUTES_AT, RECORDS_AT = 17, 21, 21, 61

Odd = tuple[bytes | None, bytes | None, int, Sequence[tuple[str, bytes | None]]]


def batch(*records: Odd, change: Callable[[bytearray], None] = lambda _: None) -> bytes:
    """A batch of (key, value, time in ms, headers) records; `change` edits its bytes before the checksum is made."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 24)
    for offset, (key, value, time_ms, headers) in enumerate(records):
        builder.append(offset, timestamp=time_ms, key=key, value=value, headers=list(headers))
    made = bytearray(builder.build())
    change(made)
    struct.pack_into(">I", made, _CRC_AT, calc_crc32c(bytes(made[_COUNTED_FROM:])))
    return bytes(made)


def replaced(old: bytes, new: bytes) -> Callable[[bytearray], None]:
    """A change of some bytes of the same length."""
    assert len(old) == len(new)

    def change(made: bytearray) -> None:
        at = made.index(old)
        made[at : at + len(old)] = new

    return change


async def send_raw(bootstrap: str, partition: TopicPartition, raw: bytes) -> None:
    """Have the broker append a batch as it is. Raises what the broker answers."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        while (code := await _send(producer, partition, raw)) and for_code(code).retriable:
            await producer.client.force_metadata_update()
        if code:
            raise for_code(code)
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, partition: TopicPartition, raw: bytes) -> int:
    await producer.partitions_for(partition.topic)
    node = producer.client.cluster.leader_for_partition(partition)
    if node is None or node < 0:
        return int(NotLeaderForPartitionError.errno)
    request = ProduceRequest(
        transactional_id=None,
        required_acks=-1,
        timeout=10_000,
        topics=[(partition.topic, [(partition.partition, raw)])],
    )
    answer = await producer.client.send(node, request)
    return int(answer.topics[0][1][0][1])
