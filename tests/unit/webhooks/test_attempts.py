"""What follows from an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.core.attempts import (
    FIRST_BACKOFF_S,
    MOST_RETRY_AFTER_S,
    Answer,
    GiveUp,
    Outcome,
    Retry,
    RetryPolicy,
    after_failure,
    backoff_s,
    outcome,
    pause_s,
    retry_after_s,
)

POLICY = RetryPolicy(give_up_after_s=259_200, most_backoff_s=3_600)
CHANCES = st.floats(0, 1, exclude_max=True)
STATUSES = st.none() | st.integers(100, 599)


@pytest.mark.parametrize(
    ("status", "retry_after", "meant"),
    [
        (200, None, Outcome.DELIVERED),
        (204, None, Outcome.DELIVERED),
        (301, None, Outcome.REFUSED),
        (400, None, Outcome.REFUSED),
        (404, None, Outcome.REFUSED),
        (410, None, Outcome.GONE),
        (429, None, Outcome.BUSY),
        (429, 7.0, Outcome.BUSY),
        (500, None, Outcome.UNAVAILABLE),
        (503, None, Outcome.UNAVAILABLE),
        (503, 7.0, Outcome.BUSY),
        (None, None, Outcome.UNAVAILABLE),
    ],
)
def test_what_an_answer_means(status: int | None, retry_after: float | None, meant: Outcome) -> None:
    assert outcome(Answer(status, retry_after)) is meant


@given(STATUSES)
def test_every_status_means_something(status: int | None) -> None:
    assert outcome(Answer(status)) in Outcome


@given(st.integers(1, 10_000), CHANCES)
def test_waits_grow_up_to_a_bound_and_keep_at_least_half(attempts: int, chance: float) -> None:
    wait_s = backoff_s(attempts, POLICY, chance)
    longest_s = backoff_s(attempts, POLICY, 0.0)
    assert FIRST_BACKOFF_S / 2 <= longest_s / 2 <= wait_s <= longest_s <= POLICY.most_backoff_s
    assert longest_s <= backoff_s(attempts + 1, POLICY, 0.0)


@given(STATUSES, st.integers(1, 100), st.floats(0, 1e7), CHANCES)
def test_nothing_is_given_up_before_its_time(status: int | None, attempts: int, waited_s: float, chance: float) -> None:
    step = after_failure(Answer(status), attempts, waited_s, POLICY, chance)
    assert isinstance(step, GiveUp) == (waited_s >= POLICY.give_up_after_s and status != 410)


def test_nothing_is_given_up_for_an_endpoint_that_may_be_enabled_again() -> None:
    assert isinstance(after_failure(Answer(410), 99, 1e9, POLICY, 0.5), Retry)


def test_a_retry_waits_as_long_as_the_receiver_asks_for_but_not_for_ever() -> None:
    assert after_failure(Answer(429, 120.0), 1, 0, POLICY, 0) == Retry(120.0)
    assert after_failure(Answer(503, 1e9), 1, 0, POLICY, 0) == Retry(MOST_RETRY_AFTER_S)
    assert pause_s(Answer(429, 120.0)) == 120.0
    assert pause_s(Answer(500, 120.0)) == 0.0


@given(st.text(max_size=20))
def test_any_header_is_seconds_or_nothing(header: str) -> None:
    seconds = retry_after_s(header)
    assert seconds is None or 0 <= seconds < 1e12


def test_retry_after_in_seconds_is_read_and_a_date_is_not() -> None:
    assert retry_after_s("17") == 17.0
    assert retry_after_s(None) is None
    assert retry_after_s("Fri, 31 Dec 1999 23:59:59 GMT") is None
