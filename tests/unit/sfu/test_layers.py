from services.sfu.core.layers import FIRST_HOLD_S, LayerLimit, choose_layer, order_rids


def test_rids_are_ordered_by_their_common_names_else_as_offered() -> None:
    assert order_rids(("f", "q", "h")) == ("q", "h", "f")
    assert order_rids(("h", "l", "m")) == ("l", "m", "h")
    assert order_rids(("b", "a")) == ("b", "a")


def test_highest_flowing_layer_is_chosen() -> None:
    assert choose_layer([9.9, 9.9, 9.9], 0, 10.0) == 2
    assert choose_layer([9.9, 9.9, 8.0], 0, 10.0) == 1
    assert choose_layer([9.9, None, 9.9], 1, 10.0) == 0
    assert choose_layer([9.9, None, None], 2, 10.0) == 0
    assert choose_layer([None, 1.0], 0, 10.0) is None


def test_lasting_loss_steps_down_and_calm_steps_up_after_the_hold() -> None:
    limit = LayerLimit()
    limit.handle_report(0.2, None, 1e6, 3, 1.0)
    assert limit.steps_down == 0
    limit.handle_report(0.2, None, 1e6, 3, 2.0)
    assert limit.steps_down == 1
    limit.handle_report(0.0, None, 1e6, 3, 3.0)
    assert limit.steps_down == 1
    limit.handle_report(0.0, None, 1e6, 3, 2.0 + FIRST_HOLD_S)
    assert limit.steps_down == 0


def test_low_estimate_steps_down_but_never_below_the_lowest_layer() -> None:
    limit = LayerLimit()
    for second in range(20):
        limit.handle_report(0.0, 1e5, 1e6, 3, float(second))
    assert limit.steps_down == 2


def test_one_bad_report_among_good_ones_changes_nothing() -> None:
    limit = LayerLimit()
    for second in range(20):
        limit.handle_report(0.5 * (second % 2), None, 1e6, 3, float(second))
    assert limit.steps_down == 0


def test_the_hold_doubles_with_each_failure() -> None:
    limit = LayerLimit()
    for now in (1.0, 2.0, 10.0, 11.0, 12.0):
        limit.handle_report(0.5 if now != 10.0 else 0.0, None, 1e6, 3, now)
    assert limit.steps_down == 1
    limit.handle_report(0.0, None, 1e6, 3, 12.0 + FIRST_HOLD_S)
    assert limit.steps_down == 1
    limit.handle_report(0.0, None, 1e6, 3, 12.0 + 2 * FIRST_HOLD_S)
    assert limit.steps_down == 0
