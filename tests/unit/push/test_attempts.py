"""What follows from the answers of providers."""

from __future__ import annotations

import pytest

from services.push.core.attempts import (
    Answer,
    Done,
    GiveUp,
    Outcome,
    RemoveToken,
    Retry,
    next_step,
    outcome_of,
    pause_s,
)
from services.runtime.backoff import MAX_RETRY_AFTER_S

GIVE_UP_S = 3_600.0


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.SENT, Done),
        (Outcome.GONE, RemoveToken),
        (Outcome.REFUSED, GiveUp),
        (Outcome.UNAVAILABLE, Retry),
        (Outcome.BUSY, Retry),
    ],
)
def test_what_follows_the_first_attempt(outcome: Outcome, expected: type) -> None:
    assert isinstance(next_step(Answer(outcome), 1, 0, GIVE_UP_S, 0.5), expected)


@pytest.mark.parametrize("outcome", [Outcome.UNAVAILABLE, Outcome.BUSY])
def test_what_has_waited_for_too_long_is_given_up(outcome: Outcome) -> None:
    assert isinstance(next_step(Answer(outcome), 9, GIVE_UP_S, GIVE_UP_S, 0.5), GiveUp)


def test_a_provider_that_asks_for_a_pause_gets_it_up_to_a_bound() -> None:
    assert pause_s(Answer(Outcome.BUSY, 429, retry_after_s=30)) == 30
    assert pause_s(Answer(Outcome.BUSY, 429, retry_after_s=1e9)) == MAX_RETRY_AFTER_S
    assert pause_s(Answer(Outcome.UNAVAILABLE, 503, retry_after_s=30)) == 0
    step = next_step(Answer(Outcome.BUSY, 429, retry_after_s=30), 1, 0, GIVE_UP_S, 0)
    assert isinstance(step, Retry)
    assert step.delay_s == 30


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, Outcome.UNAVAILABLE),
        (200, Outcome.SENT),
        (201, Outcome.SENT),
        (302, Outcome.REFUSED),
        (400, Outcome.REFUSED),
        (401, Outcome.UNAVAILABLE),
        (403, Outcome.UNAVAILABLE),
        (404, Outcome.GONE),
        (410, Outcome.GONE),
        (413, Outcome.REFUSED),
        (429, Outcome.BUSY),
        (500, Outcome.UNAVAILABLE),
        (503, Outcome.UNAVAILABLE),
    ],
)
def test_what_statuses_mean(status: int, expected: Outcome) -> None:
    assert outcome_of(status) is expected
