import pytest
from hypothesis import given
from hypothesis import strategies as st

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
