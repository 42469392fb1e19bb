"""What follows from an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.backoff import MAX_RETRY_AFTER_S
from services.webhooks.core.attempts import (
    Answer,
    GiveUp,
    Outcome,
    Retry,
    RetryPolicy,
    after_failure,
    outcome,
    pause_s,
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


@given(STATUSES, st.integers(1, 100), st.floats(0, 1e7), CHANCES)
def test_nothing_is_given_up_before_its_time(status: int | None, attempts: int, waited_s: float, chance: float) -> None:
    step = after_failure(Answer(status), attempts, waited_s, POLICY, chance)
    assert isinstance(step, GiveUp) == (waited_s >= POLICY.give_up_after_s and status != 410)


def test_nothing_is_given_up_for_an_endpoint_that_may_be_enabled_again() -> None:
    assert isinstance(after_failure(Answer(410), 99, 1e9, POLICY, 0.5), Retry)


def test_a_retry_waits_as_long_as_the_receiver_asks_for_but_not_for_ever() -> None:
    assert after_failure(Answer(429, 120.0), 1, 0, POLICY, 0) == Retry(120.0)
    assert after_failure(Answer(503, 1e9), 1, 0, POLICY, 0) == Retry(MAX_RETRY_AFTER_S)
    assert pause_s(Answer(429, 120.0)) == 120.0
    assert pause_s(Answer(500, 120.0)) == 0.0
