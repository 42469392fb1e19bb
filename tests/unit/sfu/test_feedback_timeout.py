"""Feedback that stays away."""

import pytest

from services.sfu.core.congestion.estimator import LOWEST_BPS
from services.sfu.core.congestion.feedback_timeout import (
    FEEDBACK_TIMEOUT_S,
    SHARE_AFTER_LOSS,
    TIMEOUT_SHARE,
    FeedbackTimeout,
)

ROUND_TRIP_S = 0.05
LONG_S = FEEDBACK_TIMEOUT_S + ROUND_TRIP_S + 0.01


def silent() -> FeedbackTimeout:
    """Since 1.0, with 800 kbit/s sent."""
    silence = FeedbackTimeout()
    assert silence.begin(1.0, 800_000, ROUND_TRIP_S, 1.0 + LONG_S)
    return silence


def test_silence_begins_when_a_packet_waits_for_too_long() -> None:
    silence = FeedbackTimeout()
    assert not silence.begin(None, 800_000, ROUND_TRIP_S, 100.0)
    assert not silence.begin(100.0, 800_000, ROUND_TRIP_S, 100.0 + FEEDBACK_TIMEOUT_S)
    assert silence.limit_bps is None
    assert silence.begin(100.0, 800_000, ROUND_TRIP_S, 100.0 + LONG_S)
    assert silence.limit_bps == TIMEOUT_SHARE * 800_000


def test_silence_that_goes_on_leaves_ever_less() -> None:
    silence = silent()
    assert not silence.begin(1.0, 200_000, ROUND_TRIP_S, 1.1 + LONG_S)
    assert silence.begin(1.0, 800_000, ROUND_TRIP_S, 1.0 + 2 * LONG_S)
    assert silence.limit_bps == LOWEST_BPS


@pytest.mark.parametrize(
    ("waiting_since", "loss", "is_over"), [(None, 0.0, True), (2.0, 0.1, True), (1.4, 0.0, False), (2.0, 0.5, False)]
)
def test_feedback_of_what_is_new_and_mostly_arrived_ends_it(
    waiting_since: float | None, loss: float, is_over: bool
) -> None:
    assert silent().is_over(waiting_since, loss, ROUND_TRIP_S, 2.1) is is_over


def test_client_that_was_only_busy_gets_all_back() -> None:
    silence = silent()
    silence.note_feedback(follows=True)
    assert silence.end() is None
    assert silence.limit_bps is None


def test_where_feedback_was_lost_only_a_part_is_given_back() -> None:
    silence = silent()
    silence.note_feedback(follows=False)
    silence.note_feedback(follows=True)
    assert silence.end() == SHARE_AFTER_LOSS * TIMEOUT_SHARE * 800_000
    assert silence.begin(9.0, 800_000, ROUND_TRIP_S, 9.0 + LONG_S)
    silence.note_feedback(follows=True)
    assert silence.end() is None
