import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.errors import PacketError
from services.sfu.core.wire.rtp import (
    canonical_audio,
    canonical_video,
    is_rtcp,
    iter_extensions,
    parse_header,
    rebuild_repaired,
    unwrap_repair,
)
from tests.unit.sfu.builders import rtp


def test_header_fields_are_read() -> None:
    header = parse_header(rtp(77, 65535, b"body", pt=96, timestamp=123, marker=True))
    assert (header.ssrc, header.sequence_number, header.timestamp) == (77, 65535, 123)
    assert (header.marker, header.payload_type, header.payload_at) == (True, 96, 12)


def test_one_and_two_byte_extensions_are_found() -> None:
    one = rtp(1, 1, mid=b"1", rid=b"f")
    assert dict(iter_extensions(one, parse_header(one))) == {4: b"1", 10: b"f"}
    two = b"\x90" + one[1:12] + b"\x10\x00\x00\x02" + b"\x04\x01m\x00\x0a\x00\x00\x00"
    assert dict(iter_extensions(two, parse_header(two))) == {4: b"m", 10: b""}


def test_extension_cut_short_ends_the_list() -> None:
    packet = b"\x90" + rtp(1, 1)[1:12] + b"\xbe\xde\x00\x01" + b"\x10\x20\x4f\x00"
    assert list(iter_extensions(packet, parse_header(packet))) == [(1, b"\x20")]


def test_csrcs_and_padding_are_left_out_of_the_canonical_form() -> None:
    packet = b"\xa2" + rtp(1, 1)[1:12] + bytes(8) + b"payload" + b"\x00\x00\x03"
    assert canonical_audio(packet, parse_header(packet), 1, None).info.payload == b"payload"


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(20),
        b"\x90" + bytes(12),
        b"\x90" + bytes(11) + b"\xbe\xde\xff\xff",
        b"\x8f" + bytes(30),
        b"\xa0" + bytes(11) + b"\x00",
        b"\xa0" + bytes(11) + b"\x05",
    ],
)
def test_what_cannot_be_rtp_is_refused(packet: bytes) -> None:
    with pytest.raises(PacketError, match="rtp_malformed"):
        parse_header(packet)


def test_audio_keeps_its_level() -> None:
    packet = rtp(1, 1, b"opus", mid=b"0", level=b"\x85")
    canonical = canonical_audio(packet, parse_header(packet), 1, level_id=1)
    assert canonical.level == 0x85
    assert canonical.info.payload == b"opus"


def test_red_is_kept_with_the_opus_within_for_who_has_no_red() -> None:
    red = b"\xef\x00\x40\x03" + b"\x6f" + b"oldnew"
    packet = rtp(1, 1, red, pt=63)
    canonical = canonical_audio(packet, parse_header(packet), 1, None, "red/111", (111,))
    assert canonical.info.payload == red
    assert canonical.plain is not None
    assert (canonical.plain.codec, canonical.plain.info.payload) == ("opus", b"new")


@pytest.mark.parametrize(
    "red",
    [
        b"",
        b"\xef",
        b"\xef\x00\x40",
        b"\xef\x00\x40\x03",
        b"\xef\x00\x43\xff" + b"\x6f" + b"short",
        b"\xef\x00\x40\x03" * 300,
        b"\x3f" + b"\xef\x00\x40\x03\x6foldnew",
        b"\x60" + b"\x90\x80video",
    ],
    ids=[
        "empty",
        "one byte",
        "half a header",
        "no end",
        "a block beyond the packet",
        "headers alone",
        "RED",
        "a video",
    ],
)
def test_red_with_no_opus_within_brings_nothing_to_who_has_no_red(red: bytes) -> None:
    packet = rtp(1, 1, red, pt=63)
    canonical = canonical_audio(packet, parse_header(packet), 1, None, "red/111", (111,))
    assert canonical.plain is not None
    assert canonical.plain.info.payload == b""


def test_a_red_packet_of_one_byte_of_opus_brings_that() -> None:
    packet = rtp(1, 1, b"\x6f\x08", pt=63)
    canonical = canonical_audio(packet, parse_header(packet), 1, None, "red/111", (111,))
    assert canonical.plain is not None
    assert canonical.plain.info.payload == b"\x08"


def test_repair_brings_the_original_number_and_padding_brings_nothing() -> None:
    repair = rtp(2, 77, b"\x01\x02payload", pt=97, timestamp=5)
    header = unwrap_repair(repair, parse_header(repair), 96, 1)
    assert header is not None
    assert (header.ssrc, header.payload_type, header.sequence_number, header.timestamp) == (1, 96, 0x0102, 5)
    assert repair[header.payload_at : header.payload_end] == b"payload"
    padding = rtp(2, 78, b"", pt=97)
    assert unwrap_repair(padding, parse_header(padding), 96, 1) is None


def test_rtcp_is_told_by_its_second_byte() -> None:
    assert is_rtcp(b"\x80\xc8")
    assert is_rtcp(b"\x80\xce")
    assert not is_rtcp(b"\x80\xe0")
    assert not is_rtcp(b"\x80\x6f")
    assert not is_rtcp(b"\x80")


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x80", b"\x90", b"\x90" + bytes(11) + b"\xbe\xde", b"\xbf"]))
def test_any_bytes_give_a_packet_or_a_packet_error(body: bytes, start: bytes) -> None:
    datagram = start + body
    try:
        header = parse_header(datagram)
    except PacketError:
        return
    list(iter_extensions(datagram, header))
    canonical_audio(datagram, header, 1, 1, "red", (111,))
    unwrap_repair(datagram, header, 96, 1)
    for codec in ("vp8", "h264", "vp9", "av1"):
        info = canonical_video(datagram, header, 1, codec).info
        assert max(info.picture_id_at + 2, info.tl0_at + 1) <= max(len(info.payload), 2)


@given(
    st.binary(min_size=1, max_size=50),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.booleans(),
    st.integers(0, 4),
    st.booleans(),
)
def test_a_packet_that_a_repair_brings_is_the_one_that_was_lost(
    payload: bytes, number: int, ssrc: int, marker: bool, padding: int, has_extensions: bool
) -> None:
    extension = {"mid": b"1", "wide": b"\x00\x07"} if has_extensions else {}
    original = rtp(ssrc, number, payload, pt=96, timestamp=number * 3, marker=marker, **extension)
    at = parse_header(original).payload_at
    repair = bytearray(rtp(5, 900, pt=97, timestamp=number * 3, marker=marker, **extension)[:at])
    repair += number.to_bytes(2, "big") + payload
    if padding:
        repair[0] |= 0x20
        repair += bytes(padding - 1) + bytes((padding,))
    repaired = unwrap_repair(bytes(repair), parse_header(bytes(repair)), 96, ssrc)
    assert repaired is not None
    assert rebuild_repaired(bytes(repair), repaired) == original
