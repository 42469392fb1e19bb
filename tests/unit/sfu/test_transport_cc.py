import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.congestion.arrival_log import FEEDBACK_INTERVAL_S, ArrivalLog
from services.sfu.core.congestion.send_history import SendHistory
from services.sfu.core.wire.transport_cc import MAX_STATUSES, build_feedback, parse_feedback


def test_what_is_written_is_read_back_to_a_quarter_millisecond() -> None:
    arrivals = [10.0, 10.001, None, None, 10.2, 10.19] + [None] * 20 + [11.0, *[11.0 + n / 1000 for n in range(30)]]
    fci = build_feedback(65530, arrivals, 7)
    assert len(fci) % 4 == 0
    feedback = parse_feedback(fci)
    assert feedback is not None
    assert feedback.base == 65530
    assert [at is None for at in feedback.arrivals] == [at is None for at in arrivals]
    pairs = [(a, b) for a, b in zip(arrivals, feedback.arrivals, strict=True) if a is not None and b is not None]
    assert all(abs(a - b) < 0.0002 for a, b in pairs)


def test_feedback_of_another_writer_is_read() -> None:
    """Chunks by hand: a run of 3 small deltas, then a vector of 14 one-bit symbols."""
    fci = bytes.fromhex("0005 0006 000010 01".replace(" ", "")) + bytes.fromhex("2003 b000") + bytes((4, 4, 4, 8, 8))
    feedback = parse_feedback(fci)
    assert feedback is not None
    base = 16 * 0.064
    assert feedback.arrivals[5] is None
    assert feedback.arrivals[:5] == pytest.approx([base + 0.001 * n for n in (1, 2, 3, 5, 7)])


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(fci: bytes) -> None:
    feedback = parse_feedback(fci)
    if feedback is not None:
        assert len(feedback.arrivals) <= MAX_STATUSES
        SendHistory().resolve(feedback)


@given(st.lists(st.tuples(st.integers(0, 65535), st.floats(0, 0.3)), max_size=80))
def test_any_arrivals_give_feedback_that_can_be_read(packets: list[tuple[int, float]]) -> None:
    log, now = ArrivalLog(), 50.0
    for number, step in packets:
        now += step
        log.add_arrival(number, now)
        fci = log.take_feedback(now)
        if fci is not None:
            assert parse_feedback(fci) is not None


def arrivals(log: ArrivalLog, now: float) -> dict[int, bool]:
    fci = log.take_feedback(now)
    assert fci is not None
    feedback = parse_feedback(fci)
    assert feedback is not None
    return {feedback.base + place: at is not None for place, at in enumerate(feedback.arrivals)}


def test_each_feedback_goes_on_where_the_last_ended_and_comes_back_for_late_packets() -> None:
    log = ArrivalLog()
    for number in (10, 11, 13):
        log.add_arrival(number, 1.0)
    assert arrivals(log, 1.0) == {10: True, 11: True, 12: False, 13: True}
    assert log.take_feedback(1.0 + FEEDBACK_INTERVAL_S) is None
    log.add_arrival(15, 1.2)
    log.add_arrival(12, 1.21)
    assert arrivals(log, 1.25) == {12: True, 13: True, 14: False, 15: True}


def test_history_tells_of_each_packet_once_and_of_late_ones_after_all() -> None:
    history = SendHistory()
    numbers = [history.note((1.0 + n, 100 + n)) for n in range(4)]
    first = parse_feedback(build_feedback(numbers[0], [9.0, None, 9.2], 0))
    assert first is not None
    assert [(sent_at, arrived_at is None, size) for sent_at, arrived_at, size in history.resolve(first)] == [
        (1.0, False, 100),
        (2.0, True, 101),
        (3.0, False, 102),
    ]
    assert history.resolve(first) == []
    second = parse_feedback(build_feedback(numbers[1], [9.3, 9.2, 9.4], 1))
    assert second is not None
    assert [size for _, _, size in history.resolve(second)] == [101, 103]


def test_numbers_roll_over_and_what_was_never_sent_is_passed_over() -> None:
    history = SendHistory()
    for number in range(70_000):
        assert history.note((0.0, 10)) == number & 0xFFFF
    feedback = parse_feedback(build_feedback((70_000 - 2) & 0xFFFF, [9.0, 9.0, 9.0, 9.0], 0))
    assert feedback is not None
    assert len(history.resolve(feedback)) == 2
