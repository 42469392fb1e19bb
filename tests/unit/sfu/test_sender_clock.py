"""A publisher's clocks in the worker's time."""

from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.congestion.stats import ntp_from_unix
from services.sfu.core.forwarding.sender_clock import MAX_STEP_S, PublisherClock, RtpClock, timestamp_difference

SECOND = 1 << 32


@given(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 32) - 1),
    st.integers(-20_000, 20_000),
    st.sampled_from([48_000, 90_000]),
)
def test_a_timestamp_stands_for_the_moment_that_it_came_from(ntp: int, timestamp: int, ms: int, rate: int) -> None:
    clock = RtpClock(ntp, timestamp)
    moment = (ntp + ms * SECOND // 1000) % (1 << 64)
    found = clock.timestamp_at(moment, rate)
    assert abs(timestamp_difference(timestamp, found) - ms * rate // 1000) <= 1
    assert abs(clock.ntp_at(found, rate) - moment) <= SECOND // rate + 1 or moment < SECOND


def test_the_quickest_report_says_how_far_the_clocks_are_apart() -> None:
    clock = PublisherClock()
    own = ntp_from_unix(1000.0)
    for way_s in (0.5, 0.05, 0.3):
        clock.note_report(own, ntp_from_unix(1_700_000_000.0 + way_s))
    assert clock.to_worker(RtpClock(own, 7)) == (ntp_from_unix(1_700_000_000.05), 7)


def test_a_clock_that_was_set_anew_is_followed() -> None:
    clock = PublisherClock()
    clock.note_report(ntp_from_unix(1000.0), ntp_from_unix(2000.0))
    clock.note_report(ntp_from_unix(3000.0), ntp_from_unix(2001.0))
    assert clock.to_worker(RtpClock(ntp_from_unix(3000.0), 0)).ntp == ntp_from_unix(2001.0)
    clock.note_report(ntp_from_unix(1000.0), ntp_from_unix(2002.0 + MAX_STEP_S))
    assert clock.to_worker(RtpClock(ntp_from_unix(1000.0), 0)).ntp == ntp_from_unix(2002.0 + MAX_STEP_S)
