"""Rules on a faster clock say the same as before, only of shorter times."""

from __future__ import annotations

import pytest

from deploy.observability.queries import groups
from deploy.observability.scaling import quickened

RULE = {"alert": "A", "expr": "rate(x[1h]) > 0.1 and rate(x[5m]) > 5 and x offset 5m > 1", "for": "2m"}


def test_windows_and_waits_are_shorter_by_the_factor_and_nothing_else_changes() -> None:
    (quick,) = quickened([{"name": "g", "rules": [RULE]}], 30)
    assert quick == {
        "name": "g",
        "rules": [{**RULE, "expr": "rate(x[120s]) > 0.1 and rate(x[10s]) > 5 and x offset 5m > 1", "for": "4s"}],
    }


def test_no_window_is_shorter_than_what_two_scrapes_need() -> None:
    (quick,) = quickened([{"name": "g", "rules": [RULE]}], 600)
    assert "rate(x[6s])" in quick["rules"][0]["expr"]
    assert "rate(x[5s])" in quick["rules"][0]["expr"]


def test_what_was_given_is_left_as_it_is() -> None:
    before = groups()
    quickened(before, 30)
    assert before == groups()


def test_a_wait_that_is_no_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="soon"):
        quickened([{"name": "g", "rules": [{**RULE, "for": "soon"}]}], 30)
