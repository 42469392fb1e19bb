"""Repairs of lost packets: asked for until they come, and given up so that the picture goes on."""

from collections.abc import Iterable

import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from parley_client.repairs import ASK_AGAIN_S, MAX_REQUESTS, RepairRequests, skip

# Of pictures of one packet each.
FRAME_S = 0.05


class Receiver:
    """What aiortc's receiver does with a packet, on a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked: list[set[int]] = []
        self.given_up: set[int] = set()
        self.frames: list[bytes] = []
        self.buffer = JitterBuffer(capacity=512, is_video=True)
        self.requests = RepairRequests(self._give_up, lambda: self.now_s)

    def _give_up(self, numbers: Iterable[int]) -> None:
        self.given_up |= set(numbers)
        skip(self.buffer, numbers)

    def take(self, number: int, elapsed_s: float = FRAME_S) -> None:
        """A packet, which is a picture of its own."""
        self.now_s += elapsed_s
        packet = RtpPacket(sequence_number=number & 0xFFFF, timestamp=number * 3000, payload=b"x")
        packet._data = str(number).encode()  # type: ignore[attr-defined]
        if self.requests.add(packet):
            self.asked.append(set(self.requests.missing))
        _, frame = self.buffer.add(packet)
        if frame is not None:
            self.frames.append(frame.data)


@pytest.fixture
def receiver() -> Receiver:
    receiver = Receiver()
    for number in range(3):
        receiver.take(number)
    return receiver


def test_nothing_is_asked_for_while_nothing_is_missing(receiver: Receiver) -> None:
    assert receiver.asked == []


def test_a_gap_is_asked_for_at_once_and_again_while_it_stays(receiver: Receiver) -> None:
    receiver.take(4)
    assert receiver.asked == [{3}]
    receiver.take(5, ASK_AGAIN_S / 4)
    assert receiver.asked == [{3}]
    receiver.take(6, ASK_AGAIN_S)
    assert receiver.asked == [{3}, {3}]


def test_what_came_is_not_asked_for_again(receiver: Receiver) -> None:
    receiver.take(4)
    receiver.take(3)
    receiver.take(5, ASK_AGAIN_S)
    assert receiver.asked == [{3}]
    assert receiver.given_up == set()


def test_a_gap_that_nothing_fills_is_given_up_and_the_pictures_after_it_come(receiver: Receiver) -> None:
    for number in range(4, 4 + 2 * MAX_REQUESTS):
        receiver.take(number, ASK_AGAIN_S)
    assert receiver.given_up == {3}
    assert receiver.asked == [{3}] * MAX_REQUESTS
    assert b"4" in receiver.frames


def test_a_gap_that_is_too_wide_to_be_repaired_is_given_up_at_once(receiver: Receiver) -> None:
    for number in range(403, 413):
        receiver.take(number)
    assert 3 in receiver.given_up
    assert 402 not in receiver.given_up
    for number in range(413, 413 + 2 * MAX_REQUESTS):
        receiver.take(number, ASK_AGAIN_S)
    assert b"403" in receiver.frames


@settings(max_examples=40)
@given(
    start=st.integers(0, 0xFFFF),
    # How many are lost, how many come, and how often the repairs of these are lost; at the end all comes.
    gaps=st.lists(st.tuples(st.integers(1, 600), st.integers(1, 10), st.integers(0, 3)), max_size=4),
)
def test_pictures_come_in_their_order_and_soon_after_the_losses_end(
    start: int, gaps: list[tuple[int, int, int]]
) -> None:
    receiver, number = Receiver(), start
    for lost, came, refused in gaps:
        number += lost
        for _ in range(came):
            receiver.take(number)
            number += 1
            if len(receiver.asked) > refused and receiver.requests.missing:
                # As the numbers before the newest one are meant.
                newest = number - 1
                for missing in sorted(newest - ((newest - each) & 0xFFFF) for each in receiver.requests.missing):
                    receiver.take(missing, 0.001)
    before = len(receiver.frames)
    for _ in range(3 * MAX_REQUESTS):
        receiver.take(number, ASK_AGAIN_S)
        number += 1
    order = [int(frame) for frame in receiver.frames]
    assert order == sorted(set(order))
    assert len(order) > before
    assert order[-1] >= number - 2 - 3 * MAX_REQUESTS
