"""What the layers of one stream take is told by its frames."""

from services.sfu.core.forwarding.target_rates import TargetRates
from tests.unit.sfu.descriptors import K_SVC, descriptor, k_svc, l1t3, l3t3, read_all


def measured(pictures: list[list[bytes]], sizes: tuple[int, ...]) -> TargetRates:
    """After a second of these pictures over and over, 40 a second."""
    read = read_all(pictures)
    rates = TargetRates(read[0][0])
    for spatial in range(3):
        rates.rates_of(spatial, 0.0)
    for n in range(40):
        for frame, size in zip(read[n % len(read)], sizes, strict=True):
            rates.add_frame(frame, size, n / 40)
    return rates


def test_a_layer_takes_those_below_it_too() -> None:
    rates = measured([l3t3(n) for n in range(4)], (100, 200, 700))
    # Of each four pictures one is of the lowest temporal layer, one of the next, and two of the uppermost.
    assert rates.rates_of(0, 1.0) == (8_000.0, 8_000.0, 16_000.0)
    assert [sum(rates.rates_of(spatial, 1.0)) for spatial in (1, 2)] == [96_000.0, 320_000.0]
    assert not rates.has_others


def test_of_k_svc_it_takes_them_in_key_frames_only() -> None:
    rates = measured([k_svc(0), *([k_svc(1)] * 9)], (100, 200, 700))
    assert [sum(rates.rates_of(spatial, 1.0)) for spatial in range(3)] == [32_000.0, 67_200.0, 233_600.0]
    assert rates.has_others


def test_heights_are_those_of_the_structure() -> None:
    (frame,), *_ = read_all([l1t3(0)])
    assert TargetRates(frame).height_of(0) == 0
    frame = read_all([l3t3(0)])[0][0]
    assert [TargetRates(frame).height_of(spatial) for spatial in (0, 1, 2, 9)] == [180, 360, 720, 720]


def test_a_layer_is_there_while_one_of_its_targets_is_active() -> None:
    (key,), (less,) = read_all([[descriptor(K_SVC, 0, 1, structure=True)], [descriptor(K_SVC, 0, 2, active=0b001)]])
    rates = TargetRates(key)
    rates.add_frame(key, 100, 0.0)
    assert [rates.is_active(spatial) for spatial in range(3)] == [True] * 3
    rates.add_frame(less, 100, 0.1)
    assert [rates.is_active(spatial) for spatial in range(3)] == [True, False, False]
    assert (rates.top.spatial, rates.has_others) == (0, False)
