"""What workers say to each other: what is built is read again, and what is not of that form is refused."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.errors import PacketError
from services.sfu.core.wire import relay_frames as frames
from services.sfu.core.wire.relay_frames import LayerFacts, PublicationFacts, WantedLayer
from tests.unit.sfu.counting import MOST_LINES, count_lines

U32 = st.integers(0, 0xFFFFFFFF)
NAMES = st.text("abcdefghij0123456789", max_size=16)
LAYERS = st.builds(
    LayerFacts,
    U32,
    st.integers(0, 127),
    NAMES,
    st.integers(0, 0xFFFF),
    st.lists(U32, max_size=frames.MAX_RATES).map(tuple),
)
PUBLICATIONS = st.builds(
    PublicationFacts,
    NAMES,
    st.booleans(),
    st.sampled_from((None, True, False)),
    st.lists(LAYERS, max_size=4).map(tuple),
)


@given(U32, st.integers(0, 2**64 - 1), st.lists(PUBLICATIONS, max_size=4))
def test_a_state_is_read_as_it_was_built(number: int, version: int, publications: list[PublicationFacts]) -> None:
    frame = frames.build_state(number, version, publications)
    assert frames.read_head(frame) == (frames.STATE, number)
    assert frames.read_state(frame) == (version, publications)


@given(U32, st.integers(0, 2**64 - 1), st.lists(st.builds(WantedLayer, NAMES, NAMES), max_size=20))
def test_wants_are_read_as_they_were_built(number: int, version: int, wanted: list[WantedLayer]) -> None:
    frame = frames.build_wants(number, version, wanted)
    assert frames.read_head(frame) == (frames.WANTS, number)
    assert frames.read_wants(frame) == (version, wanted)


def test_media_and_control_are_read_as_they_were_built() -> None:
    frame = frames.build_media(7, 3, b"packet")
    assert frames.read_head(frame) == (frames.MEDIA, 7)
    assert frames.read_media(frame) == (3, b"packet")
    frame = frames.build_control(frames.FEEDBACK, 8, b"rtcp")
    assert frames.read_head(frame) == (frames.FEEDBACK, 8)
    assert frames.read_control(frame) == b"rtcp"


def test_a_state_that_is_too_large_is_cut_and_can_be_read() -> None:
    layers = tuple(LayerFacts(n, 96, f"rid-{n}", 720, (1,) * frames.MAX_RATES) for n in range(frames.MAX_LAYERS))
    frame = frames.build_state(1, 1, [PublicationFacts(str(n), True, None, layers) for n in range(20)])
    assert len(frame) <= frames.MAX_STATE_BYTES
    assert frames.read_state(frame)[1][0].layers == layers


@pytest.mark.parametrize("read", [frames.read_state, frames.read_wants, frames.read_media, frames.read_head])
@given(st.binary(max_size=60))
def test_whatever_comes_is_read_or_refused(read: Callable[[bytes], object], frame: bytes) -> None:
    with suppress(PacketError):
        read(frame)


def test_no_frame_costs_more_than_its_share() -> None:
    head = bytes(13)
    for filler in (b"\x00", b"\x01", b"\x00\x00\x0c" + bytes(9), b"\xff"):
        frame = head + filler * (1450 // len(filler))
        assert count_lines(lambda frame=frame: frames.read_state(frame)) < MOST_LINES
        assert count_lines(lambda frame=frame: frames.read_wants(frame)) < MOST_LINES
