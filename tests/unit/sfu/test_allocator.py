from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.selection.allocator import Demand, allocate
from services.sfu.core.selection.tunables import CAUTIOUS_MARGIN

LAYERS = (150e3, 500e3, 1.7e6)


def test_lowest_for_all_comes_before_better_for_one() -> None:
    demands = [Demand(LAYERS, None, weight) for weight in (3, 2, 1)]
    assert allocate(demands, 600e3).selected == [0, 0, 0]
    assert allocate(demands, 1.0e6).selected == [1, 0, 0]
    assert allocate(demands, 1.8e6).selected == [1, 1, 1]


def test_what_is_pinned_or_large_gets_better_first() -> None:
    demands = [Demand(LAYERS, None, 1), Demand(LAYERS, None, 9)]
    assert allocate(demands, 900e3).selected == [0, 1]


def test_where_not_all_fit_the_least_wanted_go_without_but_never_everybody() -> None:
    demands = [Demand(LAYERS, 0, 1), Demand(LAYERS, 0, 2), Demand(LAYERS, 0, 3)]
    assert allocate(demands, 310e3).selected == [None, 0, 0]
    assert allocate(demands, 1.0).selected == [None, None, 0]


def test_one_that_sends_far_too_much_leaves_the_others_theirs() -> None:
    assert allocate([Demand((7e6,), 0), Demand(LAYERS, 1)], 600e3).selected == [None, 1]


def test_what_a_slot_has_it_keeps_at_a_budget_that_would_not_give_it_anew() -> None:
    assert allocate([Demand(LAYERS, 1)], 505e3).selected == [1]
    assert allocate([Demand(LAYERS, 0)], 505e3).selected == [0]
    assert allocate([Demand(LAYERS, 0)], 580e3).selected == [1]
    assert allocate([Demand(LAYERS, 1)], 495e3).selected == [0]


def test_it_says_what_the_next_better_picture_needs() -> None:
    assert allocate([Demand(LAYERS, 0)], 300e3).needed_bps >= 500e3
    assert allocate([Demand(LAYERS, 2)], 9e6).needed_bps == 0.0
    assert allocate([Demand((), None)], 9e6).selected == [None]


@given(
    st.lists(st.tuples(st.lists(st.floats(1e4, 3e6), max_size=5), st.integers(0, 4), st.integers(0, 9)), max_size=8),
    st.floats(-1e5, 1e7),
)
def test_no_more_is_given_out_than_there_is_but_for_the_first(
    raw: list[tuple[list[float], int, int]], budget: float
) -> None:
    demands = [Demand(tuple(sorted(rates)), min(now, len(rates) - 1) if rates else None, w) for rates, now, w in raw]
    allocation = allocate(demands, budget)
    used = sum(
        demand.rates[place] for demand, place in zip(demands, allocation.selected, strict=True) if place is not None
    )
    assert abs(used - allocation.used_bps) < 1
    assert used <= max(budget, max((d.rates[0] for d in demands if d.rates), default=0.0)) + 1


def test_who_lost_a_picture_needs_more_room_for_the_next_but_none_for_what_it_has() -> None:
    budget = 1.2 * LAYERS[1]
    assert allocate([Demand(LAYERS, 0)], budget).selected == [1]
    patient = allocate([Demand(LAYERS, 0, margin=CAUTIOUS_MARGIN)], budget)
    assert patient.selected == [0]
    assert patient.needed_bps == CAUTIOUS_MARGIN * LAYERS[1]
    assert allocate([Demand(LAYERS, 1, margin=CAUTIOUS_MARGIN)], budget).selected == [1]
