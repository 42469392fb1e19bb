from services.sfu.core.selection.layers import Layer, LayerChoice, list_choices, order_layers
from services.sfu.core.wire.codecs import ALL_TEMPORAL


def flowing(bps: float, height: int = 0) -> Layer:
    return Layer(9.9, (bps,), height)


def test_layers_that_flow_are_to_have_from_the_poorest() -> None:
    options = list_choices([flowing(1e5), flowing(5e5), flowing(2e6)], 0, 10.0)
    assert options == [LayerChoice(layer, ALL_TEMPORAL, rate) for layer, rate in enumerate((1e5, 5e5, 2e6))]


def test_silent_layers_and_those_that_never_came_are_left_out() -> None:
    layers = [flowing(1e5), Layer(None, (5e5,), 0), Layer(8.0, (2e6,), 0)]
    assert [option.layer for option in list_choices(layers, 0, 10.0)] == [0]
    assert list_choices([Layer(None, (), 0)], 0, 10.0) == []


def test_a_paused_layer_is_to_have_with_what_it_took_last() -> None:
    layers = [flowing(1e5, 180), Layer(None, (5e5,), 360, may_come=True), Layer(None, (2e6,), 720, may_come=True)]
    assert [(option.layer, option.rate_bps) for option in list_choices(layers, 300, 10.0)] == [(0, 1e5), (1, 5e5)]


def test_nothing_beyond_the_height_that_is_asked_for() -> None:
    layers = [flowing(1e5, 180), flowing(5e5, 360), flowing(2e6, 720)]
    assert [option.layer for option in list_choices(layers, 300, 10.0)] == [0, 1]
    assert [option.layer for option in list_choices(layers, 100, 10.0)] == [0]
    assert [option.layer for option in list_choices(layers, 1080, 10.0)] == [0, 1, 2]


def test_temporal_layers_are_steps_and_upper_layers_keep_half_of_their_frames() -> None:
    layers = [Layer(9.9, (6e4, 3e4, 6e4), 0), Layer(9.9, (2e5, 1e5, 2e5), 0)]
    options = list_choices(layers, 0, 10.0)
    assert [(o.layer, o.temporal, round(o.rate_bps)) for o in options] == [
        (0, 0, 60_000),
        (0, 1, 90_000),
        (0, ALL_TEMPORAL, 150_000),
        (1, 1, 300_000),
        (1, ALL_TEMPORAL, 500_000),
    ]


def test_layer_that_was_not_measured_yet_counts_with_what_it_usually_takes() -> None:
    assert [option.rate_bps for option in list_choices([flowing(0.0), flowing(0.0)], 0, 10.0)] == [150_000, 500_000]


def test_layers_of_unknown_names_are_ordered_by_what_comes_of_them() -> None:
    small, middle, large = flowing(1e5), flowing(5e5), flowing(2e6)
    assert order_layers(("a", "b", "c"), (large, middle, small)) == ("c", "b", "a")
    assert order_layers(("a", "b"), (flowing(1e5), flowing(1.1e5))) == ("a", "b")
    assert order_layers(("b", "a"), (flowing(0.0), flowing(1.1e5))) == ("b", "a")


def test_heights_go_before_names_and_names_before_rates() -> None:
    assert order_layers(("q", "f"), (flowing(1e5, 720), flowing(9e5, 180))) == ("f", "q")
    assert order_layers(("q", "f"), (flowing(9e5), flowing(1e5))) == ("q", "f")
