"""What a seed draws, of what can be done here."""

from __future__ import annotations

from itertools import islice
from random import Random

from tests.faults.checker.nemesis import FAULTS, Means, draw, targets_of

NAMES = (
    *("broker", "edge", "gateway-1", "issuer", "messaging-1", "messaging-2", "objects", "postgres", "presence-1"),
    *("sfu", "signaling", "web"),
)
ALL = {Means.NETWORK: NAMES, Means.DISK: ("broker", "postgres"), Means.STORAGE: ("broker",)}


def test_a_seed_draws_the_same_faults_again() -> None:
    first, second = (list(islice(draw(Random(7), NAMES, tuple(FAULTS), ALL), 50)) for _ in range(2))
    assert first == second


def test_each_fault_comes_once_before_any_comes_again() -> None:
    drawn = [planned.name for planned in islice(draw(Random(7), NAMES, tuple(FAULTS), ALL), len(FAULTS))]
    assert sorted(drawn) == sorted(FAULTS)


def test_what_no_process_can_suffer_is_not_drawn() -> None:
    drawn = list(islice(draw(Random(7), ("messaging-1",), ("fail over", "roll"), ALL), 5))
    assert {planned.name for planned in drawn} == {"roll"}
    assert list(draw(Random(7), ("sfu",), ("fail over",), ALL)) == []


def test_a_fault_has_a_target_and_a_length_of_its_kind() -> None:
    for planned in islice(draw(Random(1), NAMES, tuple(FAULTS), ALL), 200):
        least_s, most_s = FAULTS[planned.name].lasts_s
        assert planned.target in targets_of(planned.name, NAMES, ALL)
        assert least_s <= planned.lasts_s <= most_s


def test_what_this_machine_has_not_the_means_for_is_not_drawn() -> None:
    drawn = {planned.name for planned in islice(draw(Random(2), NAMES, tuple(FAULTS), {}), 100)}
    assert drawn == {name for name, kind in FAULTS.items() if kind.takes is None}
    assert list(draw(Random(3), NAMES, ("cut",), {})) == []


def test_a_broker_in_memory_has_no_disk_to_fill() -> None:
    assert targets_of("full disk", NAMES, {Means.DISK: ("postgres",)}) == ["postgres"]


def test_no_fault_hits_what_has_no_part_in_what_is_asked() -> None:
    for name in FAULTS:
        assert not {"issuer", "objects", "web"} & set(targets_of(name, NAMES, ALL))
