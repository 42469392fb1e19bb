from services.sfu.core.forwarding.rids import order_rids


def test_rids_are_ordered_by_their_common_names_else_as_offered() -> None:
    assert order_rids(("f", "q", "h")) == ("q", "h", "f")
    assert order_rids(("h", "l", "m")) == ("l", "m", "h")
    assert order_rids(("b", "a")) == ("b", "a")
