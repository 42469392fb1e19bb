"""Each number of a sender counts once."""

from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.wire.replay_window import WINDOW, ReplayWindow


def take(window: ReplayWindow, session: int, number: int) -> bool:
    is_fresh = window.is_fresh(session, number)
    if is_fresh:
        window.note(session, number)
    return is_fresh


def test_a_number_counts_once() -> None:
    window = ReplayWindow()
    assert take(window, 1, 5)
    assert not take(window, 1, 5)


def test_what_comes_late_counts_within_the_window_only() -> None:
    window = ReplayWindow()
    take(window, 1, WINDOW + 10)
    assert take(window, 1, 11)
    assert not take(window, 1, 10)


def test_a_later_session_begins_anew_and_an_earlier_one_is_over() -> None:
    window = ReplayWindow()
    take(window, 7, 100)
    assert take(window, 8, 1)
    assert not take(window, 7, 101)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3000)), max_size=300))
def test_nothing_counts_twice(numbers: list[tuple[int, int]]) -> None:
    window = ReplayWindow()
    taken = [each for each in numbers if take(window, *each)]
    assert len(set(taken)) == len(taken)


@given(st.permutations(range(60)))
def test_all_that_is_reordered_within_the_window_counts(numbers: list[int]) -> None:
    window = ReplayWindow()
    assert all(take(window, 1, number) for number in numbers)
