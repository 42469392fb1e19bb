from services.sfu.core.congestion.send_history import SendHistory
from services.sfu.core.wire.transport_cc import build_feedback, parse_feedback


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
