"""Parameter sets of H.264 are found, and the height in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.wire.codecs import read_payload
from services.sfu.core.wire.h264 import MAX_HEIGHT, find_parameter_set, read_height
from tests.unit.sfu.counting import MOST_LINES, count_lines


@pytest.mark.parametrize(
    ("payload", "is_key_frame"),
    [
        (b"\x67\x42", True),
        (b"\x65\x88", False),
        (b"\x41\x9a", False),
        (b"\x78\x00\x02\x67\x42\x00\x01\x68", True),
        (b"\x78\x00\x02\x41\x42", False),
        (b"\x7c\x87", True),
        (b"\x7c\x07", False),
        (b"", False),
    ],
)
def test_h264_key_frames_bring_their_parameter_set(payload: bytes, is_key_frame: bool) -> None:
    assert read_payload("h264", payload).is_key_frame is is_key_frame


class Golomb:
    """Writes a parameter set, field by field."""

    def __init__(self, profile: int) -> None:
        self._text = f"{profile:08b}{0:08b}{31:08b}"

    def bits(self, text: str) -> "Golomb":
        self._text += text
        return self

    def numbers(self, *values: int) -> "Golomb":
        for value in values:
            digits = f"{value + 1:b}"
            self._text += "0" * (len(digits) - 1) + digits
        return self

    def bytes(self) -> bytes:
        text = self._text + "1"
        text += "0" * (-len(text) % 8)
        plain = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
        # Emulation prevention, ITU-T H.264 section 7.4.1.
        escaped = bytearray()
        zeros = 0
        for byte in plain:
            if zeros == 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\x67" + bytes(escaped)


def parameter_set(width: int, height: int, *, profile: int = 66, order: tuple[int, ...] = (0, 2)) -> bytes:
    """Of frames of 4:2:0; `order`: the numbers of the picture order count."""
    units, cropped = -(-height // 16), -height % 16
    written = Golomb(profile).numbers(0)
    if profile >= 100:
        written.numbers(1, 0, 0).bits("00")
    written.numbers(4, order[0])
    if order[0] == 1:
        written.bits("0")
    written.numbers(*order[1:]).numbers(2).bits("0").numbers(-(-width // 16) - 1, units - 1).bits("11")
    return (written.bits("1").numbers(0, 0, 0, cropped // 2) if cropped else written.bits("0")).bits("0").bytes()


@pytest.mark.parametrize(("width", "height"), [(320, 180), (640, 360), (1280, 720), (1920, 1080), (176, 144)])
@pytest.mark.parametrize("profile", [66, 77, 100])
@pytest.mark.parametrize("order", [(0, 2), (2,), (1, 0, 0, 2, 5, 6)])
def test_the_height_is_read_of_each_profile(width: int, height: int, profile: int, order: tuple[int, ...]) -> None:
    assert read_height(parameter_set(width, height, profile=profile, order=order)) == height


def test_the_height_is_that_of_the_set_in_an_aggregate() -> None:
    sps = parameter_set(640, 360)
    aggregate = b"\x78" + len(sps).to_bytes(2, "big") + sps + b"\x00\x04\x68\xce\x3c\x80" + b"\x00\x02\x65\x88"
    assert find_parameter_set(aggregate) == sps
    info = read_payload("h264", aggregate)
    assert (info.is_key_frame, info.height) == (True, 360)


def test_what_is_cut_short_or_not_to_be_told_has_no_height() -> None:
    whole = parameter_set(1280, 720)
    assert {read_height(whole[:size]) for size in range(8)} == {0}
    lists = Golomb(100).numbers(0, 1, 0, 0).bits("01").bytes()
    cycle = Golomb(66).numbers(0, 4, 1).bits("0").numbers(0, 0, 256).bytes()
    assert (read_height(lists), read_height(cycle), read_height(parameter_set(16, 9000))) == (0, 0, 0)


@given(st.binary(max_size=1400))
def test_any_bytes_are_read_within_their_share(payload: bytes) -> None:
    assert 0 <= read_payload("h264", payload).height <= MAX_HEIGHT


@pytest.mark.parametrize(
    "payload", [b"\x67" + b"\xff" * 1400, b"\x67\x42\x00\x1f\xf8" + b"\xff" * 1400, b"\x78" + bytes(1400)]
)
def test_no_payload_costs_more_than_its_share(payload: bytes) -> None:
    assert count_lines(lambda: read_payload("h264", payload)) < MOST_LINES / 2
