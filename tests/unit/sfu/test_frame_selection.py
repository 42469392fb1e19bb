"""A receiver of a scalable stream gets the frames of its decode target, and can decode each of them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfu.core.forwarding.frame_selection import FrameSelection
from services.sfu.core.wire.codecs import ALL_SPATIAL, ALL_TEMPORAL
from services.sfu.core.wire.dependency_descriptor import Frame
from tests.unit.sfu.descriptors import PATTERN, k_svc, l1t3, l3t3, read_all

PICTURES = {"l1t3": l1t3, "l3t3": l3t3, "k_svc": k_svc}


def stream(name: str, pictures: int, key_frames: tuple[int, ...] = (0,)) -> list[list[Frame]]:
    last = [max(key for key in key_frames if key <= n) for n in range(pictures)]
    return read_all([PICTURES[name](n, n - last[n]) for n in range(pictures)])


def start(first: Frame, spatial: int, temporal: int = ALL_TEMPORAL) -> FrameSelection:
    selection = FrameSelection()
    selection.start(first, 0, spatial, temporal)
    return selection


def kept(
    selection: FrameSelection, pictures: list[list[Frame]], spatial: int, temporal: int = ALL_TEMPORAL, first: int = 0
) -> list[list[int]]:
    """The spatial layers of each picture that go out, from the picture of this number on."""
    return [
        [frame.spatial for frame in picture if selection.keep(frame, n, spatial, temporal)]
        for n, picture in enumerate(pictures, first)
    ]


def test_each_target_gets_what_it_needs() -> None:
    pictures = stream("l3t3", 5)
    assert kept(start(pictures[0][0], 0), pictures, 0) == [[0]] * 5
    assert kept(start(pictures[0][0], 1), pictures, 1) == [[0, 1]] * 5
    assert kept(start(pictures[0][0], 2, 0), pictures, 2, 0) == [[0, 1, 2], [], [], [], [0, 1, 2]]
    assert kept(start(pictures[0][0], ALL_SPATIAL), pictures, ALL_SPATIAL) == [[0, 1, 2]] * 5


def test_of_k_svc_a_layer_takes_the_others_in_key_frames_only() -> None:
    pictures = stream("k_svc", 4)
    assert kept(start(pictures[0][0], 2), pictures, 2) == [[0, 1, 2], [2], [2], [2]]
    assert kept(start(pictures[0][0], 1), pictures, 1) == [[0, 1], [1], [1], [1]]


def test_lower_layers_of_full_svc_need_no_key_frame_and_higher_ones_do() -> None:
    pictures = stream("l3t3", 12, key_frames=(0, 8))
    selection = start(pictures[0][0], 2)
    assert kept(selection, pictures[:2], 2) == [[0, 1, 2]] * 2
    assert not selection.is_stuck(0, ALL_TEMPORAL)
    assert kept(selection, pictures[2:4], 0, first=2) == [[0]] * 2
    # The chain of the upper layer goes on in the fifth picture only.
    assert not selection.is_stuck(2, ALL_TEMPORAL)
    assert kept(selection, pictures[4:6], 0, first=4) == [[0]] * 2
    assert selection.is_stuck(2, ALL_TEMPORAL)
    assert kept(selection, pictures[6:], 2, first=6) == [[0]] * 2 + [[0, 1, 2]] * 4
    assert not selection.is_stuck(2, ALL_TEMPORAL)


def test_of_k_svc_lower_layers_need_a_key_frame_too() -> None:
    pictures = stream("k_svc", 6, key_frames=(0, 4))
    selection = start(pictures[0][0], 2)
    assert kept(selection, pictures[:2], 2) == [[0, 1, 2], [2]]
    assert selection.is_stuck(0, ALL_TEMPORAL)
    assert kept(selection, pictures[2:], 0, first=2) == [[2], [2], [0], [0]]


@pytest.mark.parametrize(("name", "spatial"), [("l1t3", 0), ("l3t3", 0), ("l3t3", 1), ("l3t3", 2)])
def test_temporal_layers_come_and_go_without_a_key_frame(name: str, spatial: int) -> None:
    pictures = stream(name, 16)
    selection = start(pictures[0][0], spatial, 0)
    all_layers = list(range(spatial + 1))
    assert [bool(p) for p in kept(selection, pictures[:5], spatial, 0)] == [not PATTERN[n % 4] for n in range(5)]
    assert not selection.is_stuck(spatial, ALL_TEMPORAL)
    assert kept(selection, pictures[5:12], spatial, first=5) == [all_layers] * 7
    assert kept(selection, pictures[12:], spatial, 0, first=12) == [all_layers, [], [], []]


def test_a_target_changes_only_before_the_first_frame_of_a_picture() -> None:
    pictures = stream("l3t3", 3)
    selection = start(pictures[0][0], 2)
    kept(selection, pictures[:1], 2)
    low, *others = pictures[1]
    assert selection.keep(low, 1, 2, ALL_TEMPORAL)
    assert [selection.keep(frame, 1, 0, ALL_TEMPORAL) for frame in others] == [True, True]
    assert kept(selection, pictures[2:], 0, first=2) == [[0]]


def test_packets_of_a_frame_share_its_fate_and_late_ones_too() -> None:
    pictures = stream("l3t3", 3)
    selection = start(pictures[0][0], 0)
    low, middle, _ = pictures[1]
    assert kept(selection, pictures[:1], 0) == [[0]]
    assert [selection.keep(frame, 1, 0, ALL_TEMPORAL) for frame in (low, low, middle, middle)] == [
        *(True, True, False, False),
    ]
    assert kept(selection, pictures[2:], 2, first=2) == [[0]]
    assert (selection.keep_late(low), selection.keep_late(middle)) == (True, False)


def test_a_frame_that_comes_late_as_a_whole_goes_out_if_its_target_needs_it() -> None:
    pictures = stream("l3t3", 5)
    selection = start(pictures[0][0], 1)
    kept(selection, [pictures[0], pictures[2]], 1)
    assert [selection.keep_late(frame) for frame in pictures[1]] == [True, True, False]
    # Its other packets come too, though less is wanted by now.
    kept(selection, pictures[3:], 0, first=3)
    assert [selection.keep_late(frame) for frame in pictures[1]] == [True, True, False]


def test_the_last_packet_of_what_is_sent_of_a_picture_is_known() -> None:
    pictures = stream("l3t3", 2)
    selection = start(pictures[0][0], 1)
    assert [selection.is_last(frame) for frame in pictures[1]] == [False, True, False]
    # The publisher's own marker stands where everything goes.
    assert not any(start(pictures[0][0], ALL_SPATIAL).is_last(frame) for frame in pictures[1])


@settings(max_examples=60)
@given(st.sampled_from(sorted(PICTURES)), st.integers(0, 10_000))
def test_whatever_is_wanted_and_when_each_frame_can_be_decoded(name: str, seed: int) -> None:
    chance = random.Random(seed)
    key_frames = tuple(n for n in range(80) if n == 0 or chance.random() < 0.04)
    pictures = stream(name, 80, key_frames)
    spatial, temporal = chance.choice((0, 1, 2, ALL_SPATIAL)), chance.randrange(ALL_TEMPORAL + 1)
    selection = start(pictures[0][0], spatial, temporal)
    came: set[int] = set()
    settled = 0
    for n, picture in enumerate(pictures):
        if chance.random() < 0.1:
            spatial, temporal = chance.choice((0, 1, 2, ALL_SPATIAL)), chance.randrange(ALL_TEMPORAL + 1)
            settled = 0
        is_everything = (spatial, temporal) == (ALL_SPATIAL, ALL_TEMPORAL)
        goal = picture[0].structure.find_target(spatial, temporal)
        for frame in picture:
            is_kept = selection.keep(frame, n, spatial, temporal)
            if is_kept:
                assert {frame.number - fdiff for fdiff in frame.fdiffs} <= came
                came.add(frame.number)
            if settled > 4 and not (is_everything and not frame.indication(goal)):
                # What is wanted is there within a pattern, unless it waits for a key frame and says so.
                assert is_kept == (frame.indication(goal) > 0)
        settled = 0 if selection.is_stuck(spatial, temporal) else settled + 1
