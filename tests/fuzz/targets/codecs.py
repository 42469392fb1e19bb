"""Compressed batches of Kafka: unfolded within the bound, or refused. The first byte chooses the decoder."""

import gzip

import cramjam

from services.runtime.kafka import codecs

_TEXT = b"some text, some text, some text"
SEEDS = (
    b"\x00" + gzip.compress(_TEXT),
    b"\x01" + bytes(cramjam.lz4.compress(_TEXT)),
    b"\x02" + bytes(cramjam.zstd.compress(_TEXT)),
    b"\x03" + bytes(cramjam.snappy.compress_raw(_TEXT)),
    b"\x03\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff",
)


def fuzz(data: bytes) -> None:
    """Raises for anything but UnfoldsTooLarge."""
    if not data:
        return
    try:
        assert len(codecs.DECODERS[data[0] % len(codecs.DECODERS)](data[1:])) <= codecs.MAX_BYTES
    except codecs.UnfoldsTooLarge:
        return
