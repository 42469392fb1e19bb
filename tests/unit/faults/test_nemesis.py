"""What a seed draws."""

from __future__ import annotations

from itertools import islice
from random import Random

from tests.faults.checker.nemesis import FAULTS, draw

NAMES = ("broker", "gateway-1", "issuer", "messaging-1", "messaging-2", "postgres", "presence-1", "sfu", "signaling")


def test_a_seed_draws_the_same_faults_again() -> None:
    first, second = (list(islice(draw(Random(7), NAMES, tuple(FAULTS)), 50)) for _ in range(2))
    assert first == second


def test_each_fault_comes_once_before_any_comes_again() -> None:
    drawn = [planned.name for planned in islice(draw(Random(7), NAMES, tuple(FAULTS)), len(FAULTS))]
    assert sorted(drawn) == sorted(FAULTS)


def test_what_no_process_can_suffer_is_not_drawn() -> None:
    drawn = list(islice(draw(Random(7), ("messaging-1",), ("fail over", "roll")), 5))
    assert {planned.name for planned in drawn} == {"roll"}
    assert list(draw(Random(7), ("sfu",), ("fail over",))) == []
