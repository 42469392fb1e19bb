import pytest

from services.sfu.core.wire.codecs import (
    is_vp9_key_frame,
    primary_of_red,
    read_payload,
    read_vp8,
    read_vp9,
)
from tests.unit.sfu.builders import vp8


def test_vp8_descriptor_is_read() -> None:
    info = read_vp8(vp8(300, key_frame=True, tl0=9, tid=2, sync=True))
    assert info.is_key_frame
    assert (info.picture_id, info.tl0, info.temporal, info.is_sync) == (300, 9, 2, True)
    assert info.payload[info.tl0_at] == 9


def test_short_picture_id_is_widened() -> None:
    info = read_vp8(b"\x90\xc0\x05\x07\x00rest")
    assert info.payload == b"\x90\xc0\x80\x05\x07\x00rest"
    assert (info.picture_id, info.payload[info.tl0_at]) == (5, 7)
    assert info.is_key_frame


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
def test_vp8_key_frames_are_told_from_others(payload: bytes, is_key_frame: bool) -> None:
    assert read_vp8(payload).is_key_frame is is_key_frame


def test_height_is_read_from_a_clear_vp8_key_frame_only() -> None:
    clear = b"\x00\x00\x00\x9d\x01\x2a" + (1280).to_bytes(2, "little") + (720).to_bytes(2, "little")
    assert read_vp8(b"\x10" + clear).height == 720
    assert read_vp8(b"\x10\x00" + bytes(20)).height == 0


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\x80\x40", b"\x80\x20"])
def test_descriptor_cut_short_is_no_key_frame(payload: bytes) -> None:
    info = read_vp8(payload)
    assert not info.is_key_frame
    assert (info.picture_id_at, info.tl0_at) == (0, 0)


@pytest.mark.parametrize(
    ("payload", "is_key_frame"),
    [
        (b"\x08\x00", True),
        (b"\x48\x00", False),
        (b"\x00\x00", False),
        (b"\xa8\x81\x01\x00", True),
        (b"\xa8\x81\x01\x02", False),
        (b"\x08", False),
    ],
)
def test_vp9_key_frames_begin_at_the_lowest_layer(payload: bytes, is_key_frame: bool) -> None:
    assert is_vp9_key_frame(payload) is is_key_frame


def test_av1_key_frames_begin_a_sequence() -> None:
    assert read_payload("av1", b"\x08\x00").is_key_frame
    assert not read_payload("av1", b"\x00\x00").is_key_frame


def test_red_that_does_not_add_up_has_no_primary() -> None:
    assert primary_of_red(b"\x6fopus") == (111, b"opus")
    for payload in (b"", b"\xef\x00", b"\xef\x00\x43\xff\x6fx"):
        assert primary_of_red(payload) is None


def test_a_vp9_picture_id_is_read_and_widened_and_the_base_layers_number_too() -> None:
    info = read_vp9(bytes.fromhex("a8 8123 00 07 68"))
    assert (info.picture_id, info.picture_id_at, info.tl0, info.tl0_at, info.is_key_frame) == (0x123, 1, 7, 4, True)
    info = read_vp9(bytes.fromhex("a8 23 00 07 68"))
    assert (info.payload.hex(), info.picture_id, info.tl0) == ("a880230007" + "68", 0x23, 7)
    # In flexible mode there are differences of picture ids in its place.
    info = read_vp9(bytes.fromhex("f8 8123 00 09 68"))
    assert (info.picture_id_at, info.tl0_at, info.is_key_frame) == (1, 0, False)
    for cut_short in (b"\xa8", b"\xa8\x81", b"\x88\x80"):
        assert read_vp9(cut_short).picture_id_at == 0


def test_the_height_of_vp9_is_that_of_the_highest_layer_of_a_key_frame() -> None:
    sizes = bytes.fromhex("58 0140 00b4 0280 0168 0500 02d0")
    assert read_vp9(bytes.fromhex("aa 8123 00 07") + sizes + b"frame").height == 0x2D0
    # Flexible mode, and without a picture id.
    assert read_vp9(bytes.fromhex("ba 8123 00") + sizes).height == 0x2D0
    assert read_vp9(bytes.fromhex("0a") + bytes.fromhex("10 0280 0168")).height == 360
    # A structure without sizes, one that is cut short, and a frame that is no key frame.
    assert read_vp9(bytes.fromhex("0a 00 0000 0000 0000")).height == 0
    assert read_vp9(bytes.fromhex("aa 8123 00 07") + sizes[:-1]).height == 0
    assert read_vp9(bytes.fromhex("ea 8123 00 07") + sizes).height == 0
