"""Which partition of a topic a key belongs to, as Kafka's default partitioner has it. Of `delivery.v1`, a user's."""

from functools import lru_cache

# Keys whose hash is remembered: in Python it costs more than all else that is done with a small record. Raising it
# takes more memory (about 200 bytes each); lowering it hashes the less busy keys again.
REMEMBERED = 50_000


def partition_of(user_id: str, partition_count: int) -> int:
    """The partition of a user."""
    return (murmur2(user_id.encode()) & 0x7FFFFFFF) % partition_count


@lru_cache(REMEMBERED)
def murmur2(data: bytes) -> int:
    """Kafka's 32-bit MurmurHash2 (org.apache.kafka.common.utils.Utils.murmur2)."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = value * multiplier & mask ^ word
    if len(data) > whole:
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15
