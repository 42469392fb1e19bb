"""What is drawn can be done here, and a seed draws the same again."""

from __future__ import annotations

from itertools import islice
from random import Random

from tests.faults.checker.nemesis import FAULTS, Means, draw, targets_of

NAMES = ("broker", "edge", "gateway-1", "gateway-2", "issuer", "messaging-1", "objects", "postgres", "sfu", "web")
ALL = {Means.NETWORK: NAMES, Means.DISK: ("broker", "postgres"), Means.STORAGE: ("broker",)}


def test_a_seed_draws_the_same_again() -> None:
    first, second = (list(islice(draw(Random("7"), NAMES, tuple(FAULTS), ALL), 50)) for _ in range(2))
    assert first == second


def test_every_fault_is_drawn_with_a_target_and_a_length_of_its_kind() -> None:
    drawn = list(islice(draw(Random(1), NAMES, tuple(FAULTS), ALL), 500))
    assert {planned.name for planned in drawn} == set(FAULTS)
    for planned in drawn:
        least_s, most_s = FAULTS[planned.name].lasts_s
        assert planned.target in targets_of(planned.name, NAMES, ALL)
        assert least_s <= planned.lasts_s <= most_s


def test_what_this_machine_has_not_the_means_for_is_not_drawn() -> None:
    drawn = list(islice(draw(Random(2), NAMES, tuple(FAULTS), {}), 300))
    assert {planned.name for planned in drawn} == {name for name, kind in FAULTS.items() if kind.takes is None}


def test_a_broker_in_memory_has_no_disk_to_fill() -> None:
    assert targets_of("full disk", NAMES, {Means.DISK: ("postgres",)}) == ["postgres"]


def test_nothing_is_drawn_where_nothing_is_possible() -> None:
    assert list(draw(Random(3), NAMES, (), ALL)) == []
    assert list(draw(Random(3), NAMES, ("cut",), {})) == []


def test_no_fault_hits_what_has_no_part_in_what_is_asked() -> None:
    for name in FAULTS:
        assert not {"issuer", "objects", "web"} & set(targets_of(name, NAMES, ALL))
