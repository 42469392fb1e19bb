import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.errors import PacketError
from services.sfu.core.rtp import (
    LEVEL_AT,
    canonical_audio,
    canonical_vp8,
    find_extension,
    is_rtcp,
    iter_extensions,
    parse_header,
    parse_vp8_descriptor,
)
from tests.unit.sfu.builders import rtp, vp8


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
    plain = rtp(1, 1)[1:12]
    packet = b"\xa2" + plain + bytes(8) + b"payload" + b"\x00\x00\x03"
    canonical = canonical_audio(packet, parse_header(packet), 1, None)
    assert canonical.data == b"\x80" + plain + b"payload"


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


def test_audio_keeps_its_level_and_loses_its_mid() -> None:
    packet = rtp(1, 1, b"opus", mid=b"0", level=b"\x85")
    canonical = canonical_audio(packet, parse_header(packet), 1, level_id=1)
    header = parse_header(canonical.data)
    assert canonical.has_level
    assert canonical.data[LEVEL_AT + 1] == 0x85
    assert find_extension(canonical.data, header, 4) is None
    assert canonical.data[header.payload_at :] == b"opus"


def test_vp8_loses_mid_and_rid_and_keeps_its_payload() -> None:
    packet = rtp(1, 1, vp8(300, key_frame=True, tl0=9), pt=96, mid=b"1", rid=b"q")
    canonical = canonical_vp8(packet, parse_header(packet), 1)
    assert canonical.data[12:] == vp8(300, key_frame=True, tl0=9)
    assert canonical.is_key_frame
    assert (canonical.picture_id, canonical.tl0_pic_idx) == (300, 9)


def test_short_picture_id_is_widened() -> None:
    packet = rtp(1, 1, b"\x90\xc0\x05\x07\x00rest", pt=96)
    canonical = canonical_vp8(packet, parse_header(packet), 1)
    assert canonical.data[12:] == b"\x90\xc0\x80\x05\x07\x00rest"
    assert canonical.data[canonical.tl0_pic_idx_at] == 7
    assert canonical.is_key_frame


@pytest.mark.parametrize(
    ("payload", "is_key_frame"),
    [
        (b"\x10\x00", True),
        (b"\x10\x01", False),
        (b"\x00\x00", False),
        (b"\x11\x00", False),
        (b"\x10", False),
        (b"\x90\x80\x80\x01\x00", True),
        (b"\x90\xf0\x80\x01\x01\x20\x00", True),
        (b"\x90\xf0\x80\x01\x01\x20\x01", False),
    ],
)
def test_key_frames_are_told_from_others(payload: bytes, is_key_frame: bool) -> None:
    descriptor = parse_vp8_descriptor(payload)
    assert descriptor is not None
    assert descriptor.is_key_frame is is_key_frame


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\x80\x40", b"\x80\x20"])
def test_descriptor_cut_short_is_none(payload: bytes) -> None:
    assert parse_vp8_descriptor(payload) is None


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
    for canonical in (canonical_audio(datagram, header, 1, 1), canonical_vp8(datagram, header, 1)):
        assert parse_header(canonical.data).sequence_number == header.sequence_number
        assert max(canonical.picture_id_at + 2, canonical.tl0_pic_idx_at + 1, LEVEL_AT * canonical.has_level) <= max(
            len(canonical.data), 2
        )
