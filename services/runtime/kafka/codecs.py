"""Compressed batches of Kafka, unfolded up to a bound: some kilobytes may hold gigabytes of zeros.

aiokafka's own decoders take what comes. A broker's limit (`max.message.bytes`) is of what was sent, not of what it
holds.
"""

import mmap
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
from aiokafka.record import default_records, legacy_records
from aiokafka.record._crecords import default_records as compiled_default_records
from aiokafka.record._crecords import legacy_records as compiled_legacy_records

from services.runtime.observability.failures import named

# Of one batch. Brokers and producers bound a batch by 1 MiB unless somebody raises it, so that this is far above what
# anybody sends. Raising it: a hostile writer makes each consumer hold more. Lowering it: large batches are parked.
MAX_BYTES = 64 * 1024 * 1024
# How Java's snappy streams begin; blocks with their length before them follow 8 bytes later.
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16

# Pages of it exist only once they were written to. One loop a process, so that one batch at a time is unfolded.
_scratch = mmap.mmap(-1, MAX_BYTES)


class UnfoldsTooLarge(ValueError):
    """The batch holds more than MAX_BYTES, or cannot be unfolded."""


def gzip_decode(data: Any) -> bytes:
    """The content. Raises UnfoldsTooLarge, as all of these do."""
    return _unfold(cramjam.gzip.decompress_into, data)


def lz4_decode(data: Any) -> bytes:
    """See gzip_decode."""
    return _unfold(cramjam.lz4.decompress_into, data)


def zstd_decode(data: Any) -> bytes:
    """See gzip_decode."""
    return _unfold(cramjam.zstd.decompress_into, data)


def snappy_decode(data: Any) -> bytes:
    """See gzip_decode. One block, or many in the framing of Java's client."""
    data = bytes(data)
    if not data.startswith(_XERIAL):
        return _unfold(cramjam.snappy.decompress_raw_into, data)
    parts, length = [], 0
    for block in _xerial_blocks(data):
        parts.append(_unfold(cramjam.snappy.decompress_raw_into, block))
        length += len(parts[-1])
        if length > MAX_BYTES:
            raise UnfoldsTooLarge(f"more than {MAX_BYTES} bytes")
    return b"".join(parts)


def _xerial_blocks(data: bytes) -> Iterator[bytes]:
    at = _XERIAL_HEADER_BYTES
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big", signed=True)
        if size <= 0 or at + 4 + size > len(data):
            raise UnfoldsTooLarge("a block is longer than its batch")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _unfold(decompress_into: Callable[[Any, Any], int], data: Any) -> bytes:
    try:
        length = decompress_into(bytes(data), _scratch)
    except Exception as error:
        raise UnfoldsTooLarge(f"more than {MAX_BYTES} bytes, or no batch: {named(error)}") from error
    return _scratch[:length]


DECODERS = (gzip_decode, lz4_decode, zstd_decode, snappy_decode)
# Where the client looks them up.
MODULES = (default_records, legacy_records, compiled_default_records, compiled_legacy_records)
