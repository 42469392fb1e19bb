"""Batches that unfold: as they should, too far, or not at all."""

import contextlib
import struct
from collections.abc import Callable

import aiokafka.codec as written
import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.kafka import codecs
from services.runtime.kafka.codecs import MAX_BYTES, UnfoldsTooLarge

CODECS: list[tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = [
    (written.gzip_encode, codecs.gzip_decode),
    (written.lz4_encode, codecs.lz4_decode),
    (written.zstd_encode, codecs.zstd_decode),
    (written.snappy_encode, codecs.snappy_decode),
    (lambda data: bytes(cramjam.snappy.compress_raw(data)), codecs.snappy_decode),
]


@pytest.mark.parametrize(("encode", "decode"), CODECS)
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=3), times=st.integers(1, 2_000))
def test_what_was_packed_is_unpacked_also_after_something_longer(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes], parts: list[bytes], times: int
) -> None:
    for part in (b"x" * 10_000, *(part * times for part in parts if part)):
        assert decode(encode(part)) == part


@pytest.mark.parametrize(("encode", "decode"), CODECS)
def test_some_bytes_that_hold_too_many_are_refused(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes]
) -> None:
    packed = encode(bytes(MAX_BYTES + 1))
    with pytest.raises(UnfoldsTooLarge):
        decode(packed)
    assert len(decode(encode(bytes(MAX_BYTES // 4)))) == MAX_BYTES // 4


@pytest.mark.parametrize("decode", codecs.DECODERS)
@given(data=st.binary(max_size=100))
def test_any_bytes_are_unpacked_or_refused(decode: Callable[[bytes], bytes], data: bytes) -> None:
    for each in (data, b"\x82SNAPPY\x00" + bytes(8) + data):
        with contextlib.suppress(UnfoldsTooLarge):
            decode(each)


@pytest.mark.parametrize("size", [-4, 0, 5, 2**31 - 1])
def test_a_snappy_block_that_is_not_there_is_refused(size: int) -> None:
    with pytest.raises(UnfoldsTooLarge):
        codecs.snappy_decode(b"\x82SNAPPY\x00" + bytes(8) + struct.pack("!i", size) + b"abc")
