"""Fields of bits."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.wire.bits import Bits, CutShort


def of(bits: str) -> Bits:
    """These bits, and none behind them."""
    return Bits(int(bits, 2).to_bytes(-(-len(bits) // 8), "big"), -len(bits) % 8)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2**40 - 1)), min_size=1))
def test_numbers_are_read_as_they_were_written(fields: list[tuple[int, int]]) -> None:
    numbers = [(width, value % (1 << width)) for width, value in fields]
    bits = of("".join(f"{value:0{width}b}" for width, value in numbers))
    assert [bits.read(width) for width, _ in numbers] == [value for _, value in numbers]
    with pytest.raises(CutShort):
        bits.read(1)


@pytest.mark.parametrize(
    ("bits", "value"), [("1", 0), ("010", 1), ("011", 2), ("00100", 3), ("00111", 6), ("0001000", 7)]
)
def test_golomb_codes_are_those_of_h264(bits: str, value: int) -> None:
    assert of(bits).read_golomb() == value


@pytest.mark.parametrize(("bits", "value"), [("00", 0), ("01", 1), ("10", 2), ("110", 3), ("111", 4)])
def test_a_number_below_five_takes_two_bits_or_three_as_in_av1(bits: str, value: int) -> None:
    assert of(bits).read_below(5) == value


@pytest.mark.parametrize("read", [lambda bits: bits.read(17), Bits.read_golomb, lambda bits: bits.read_below(1 << 17)])
def test_what_is_cut_short_is_refused(read: Callable[[Bits], int]) -> None:
    with pytest.raises(CutShort):
        read(Bits(b"\x00\x00"))
