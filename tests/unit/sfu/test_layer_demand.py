"""Which layers a publisher is asked to send."""

from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.forwarding.layer_demand import AWAIT_S, HOLD_S, SETTLE_S, LayerDemand

ALL = {"q", "h", "f"}
FEW = st.sets(st.sampled_from(sorted(ALL)))


def paused(*rids: str) -> LayerDemand:
    """All but these are taken."""
    demand = LayerDemand()
    demand.update(ALL, ALL, 0.0)
    assert demand.update(ALL - set(rids), ALL, HOLD_S)
    assert demand.paused == set(rids)
    return demand


def test_a_layer_is_paused_when_nobody_took_it_for_some_seconds() -> None:
    demand = LayerDemand()
    assert not demand.update({"q"}, ALL, 1.0)
    assert not demand.update({"q"}, ALL, 1.0 + HOLD_S - 0.1)
    assert demand.update({"q"}, ALL, 1.0 + HOLD_S)
    assert demand.paused == {"h", "f"}
    assert not demand.update({"q"}, {"q"}, 2.0 + HOLD_S), "the publisher is told once"


def test_a_layer_that_is_taken_again_is_asked_for_at_once() -> None:
    demand = paused("f")
    assert demand.update({"f"}, {"q"}, HOLD_S + 0.1)
    assert not demand.paused


def test_a_layer_that_somebody_waits_for_all_the_time_is_not_paused() -> None:
    demand = LayerDemand()
    for second in range(60):
        assert not demand.update(ALL if second % 4 == 0 else {"q"}, ALL, float(second))


def test_a_layer_that_does_not_come_is_not_paused_and_one_that_begins_to_come_is_looked_at_first() -> None:
    demand = LayerDemand()
    demand.update({"q"}, ALL, 0.0)
    for second in range(1, 20):
        assert not demand.update({"q"}, {"q"}, float(second))
    assert not demand.update({"q"}, {"q", "f"}, 20.0)
    assert demand.update({"q"}, {"q", "f"}, 20.0 + HOLD_S)
    assert demand.paused == {"f"}


def test_all_layers_are_paused_when_nobody_looks() -> None:
    assert paused(*ALL).paused == ALL


def test_a_paused_layer_may_come_and_one_that_is_asked_for_in_vain_may_not_after_a_while() -> None:
    demand = paused("f")
    assert demand.may_come("f", 100.0)
    assert not demand.may_come("q", 100.0)
    demand.update({"f"}, {"q"}, 100.0)
    assert demand.may_come("f", 100.0 + AWAIT_S - 0.1)
    assert not demand.may_come("f", 100.0 + AWAIT_S)


def test_a_layer_is_measured_some_seconds_after_it_was_asked_for() -> None:
    demand = paused("f")
    assert demand.is_settled("q", HOLD_S)
    assert not demand.is_settled("f", 100.0)
    demand.update({"f"}, ALL, 100.0)
    assert not demand.is_settled("f", 100.0 + SETTLE_S - 0.1)
    assert demand.is_settled("f", 100.0 + SETTLE_S)


@given(st.lists(st.tuples(st.floats(0.01, 8.0), FEW, FEW), max_size=60))
def test_what_is_taken_is_always_asked_for_and_nothing_is_paused_more_often_than_the_hold_off(
    steps: list[tuple[float, set[str], set[str]]],
) -> None:
    demand, now = LayerDemand(), 0.0
    taken_at: dict[str, float] = {}
    pauses = dict.fromkeys(ALL, 0)
    for elapsed_s, taken, flowing in steps:
        now += elapsed_s
        before = demand.paused
        taken_at |= dict.fromkeys(taken, now)
        assert demand.update(taken, flowing, now) == (demand.paused != before)
        assert not demand.paused & taken
        for rid in demand.paused - before:
            pauses[rid] += 1
            assert rid in flowing
            assert now - taken_at.get(rid, 0.0) >= HOLD_S
    assert max(pauses.values()) <= now / HOLD_S
