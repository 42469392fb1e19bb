import pytest

from services.sfu.core.congestion.overuse import OveruseDetector, Usage


@pytest.mark.parametrize(("slope", "usage"), [(0.0, Usage.NORMAL), (0.1, Usage.OVERUSE), (-0.1, Usage.UNDERUSE)])
def test_trend_of_the_delay_tells_the_usage(slope: float, usage: Usage) -> None:
    detector = OveruseDetector()
    seen = set()
    for group in range(60):
        sent = group * 0.033
        detector.add_packet(sent, 5.0 + sent * (1 + slope))
        seen.add(detector.usage)
    assert usage in seen
    assert seen <= {usage, Usage.NORMAL}


def test_times_that_make_no_sense_do_not_break_the_detector() -> None:
    detector = OveruseDetector()
    for sent, arrived in [(1.0, 5.0), (0.5, 5.0), (1.0, -1e6), (2.0, 1e6), (2.0, 1e6), (3.0, 1e6), (4.0, -5.0)] * 20:
        detector.add_packet(sent, arrived)
    assert detector.usage in Usage


def test_trend_of_a_slow_stream_is_seen_after_an_hour_too() -> None:
    """The line's sums are running ones: they must neither drift nor grow without bound."""
    detector = OveruseDetector()
    for step in range(3600):
        detector.add_packet(float(step), step + 0.05)
    assert detector.usage is Usage.NORMAL
    for step in range(40):
        detector.add_packet(3600.0 + step * 0.05, 3600.05 + step * 0.08)
    assert detector.usage is Usage.OVERUSE
