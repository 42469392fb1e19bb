"""How long an outside server is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.backoff import FIRST_BACKOFF_S, backoff_s, retry_after_s

MOST_S = 3_600.0


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_up_to_a_bound_and_keep_at_least_half(attempts: int, chance: float) -> None:
    wait_s, longest_s = backoff_s(attempts, MOST_S, chance), backoff_s(attempts, MOST_S, 0.0)
    assert FIRST_BACKOFF_S / 2 <= longest_s / 2 <= wait_s <= longest_s <= MOST_S
    assert wait_s <= backoff_s(attempts + 1, MOST_S, chance)


@given(st.text(max_size=20))
def test_any_header_is_seconds_or_nothing(header: str) -> None:
    seconds = retry_after_s(header)
    assert seconds is None or 0 <= seconds < 1e12


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("30", 30),
        (" 5 ", 5),
        ("-1", None),
        ("soon", None),
        ("9" * 13, None),
        ("\u0663", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
    ],
)
def test_a_header_in_seconds_is_read_and_a_date_is_not(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header) == expected
