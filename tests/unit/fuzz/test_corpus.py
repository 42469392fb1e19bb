"""Every seed, and every input that failed once, keeps the promises of its target within its share of work."""

from __future__ import annotations

import pytest

from tests.fuzz import corpus
from tests.fuzz.work import TooMuchWork, counted

TARGETS = [corpus.load(name) for name in corpus.names()]
SEEDS = [pytest.param(target, data, id=f"{target.name}-{name}") for target in TARGETS for name, data in target.seeds()]


@pytest.mark.parametrize(("target", "data"), SEEDS)
def test_the_input_keeps_what_the_target_promises(target: corpus.Target, data: bytes) -> None:
    target.count(data)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_cut_and_changed_seeds_keep_it_too(target: corpus.Target) -> None:
    for _, data in target.seeds():
        for at in range(min(len(data), 64)):
            target.fuzz(data[:at])
            target.fuzz(data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :])


def test_every_folder_of_seeds_has_a_target() -> None:
    assert {path.name for path in corpus.CORPUS.iterdir()} <= set(corpus.names())


def test_an_input_that_costs_more_than_its_size_allows_is_found() -> None:
    def endless(data: bytes) -> None:
        at = 0
        while at < len(data) ** 2:
            at += 1

    with pytest.raises(TooMuchWork):
        counted(endless, bytes(1000), lines=100, lines_per_byte=10)
    assert counted(endless, bytes(10), lines=1000) > 100
