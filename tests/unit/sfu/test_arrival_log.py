from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.congestion.arrival_log import FEEDBACK_INTERVAL_S, ArrivalLog
from services.sfu.core.wire.transport_cc import parse_feedback


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
