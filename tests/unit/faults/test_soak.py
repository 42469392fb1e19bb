"""A soak adds up its rounds, goes on where it was broken off, and tells what it found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.faults.checker import run
from tests.faults.checker.evidence import Goal, Round, progress, table
from tests.faults.checker.history import Action, Fault, History, Operation, Outcome
from tests.faults.checker.judging import Judged
from tests.faults.checker.promises import Breach
from tests.faults.checker.soak import keep, read

ABOUT = {"date": "2026-11-30T10:00:00+00:00", "commit": "abc", "towns": 2, "seconds": 300.0, "load": 3.0}


def round_of(seed: str, faults: Mapping[str, int], messages: int, broken: Mapping[str, int] | None = None) -> Round:
    return Round(
        seed=seed, messages=messages, operations=9, unknown=1, calls=2, faults=faults, broken=broken or {}, **ABOUT
    )


ONE, OTHER = round_of("7-1", {"kill": 2, "pause": 1}, 100), round_of("7-2", {"kill": 3}, 60, {"no gaps": 2})


def test_a_goal_is_reached_by_faults_and_messages_of_all_rounds() -> None:
    assert Goal(6, 160).is_reached([ONE, OTHER])
    assert not Goal(7, 160).is_reached([ONE, OTHER])
    assert not Goal(6, 161).is_reached([ONE, OTHER])
    assert not Goal(1, 1).is_reached([])


def test_what_is_left_follows_the_slower_of_the_two() -> None:
    assert Goal(12, 160).seconds_left([ONE, OTHER]) == 600.0
    assert Goal(6, 640).seconds_left([ONE, OTHER]) == 1800.0
    assert Goal(6, 160).seconds_left([ONE, OTHER]) == 0.0
    assert Goal(6, 160).seconds_left([]) == 0.0
    assert "6 of 12 faults, 160 of 160 messages; no gaps (2); about 10 min left" in progress(
        [ONE, OTHER], Goal(12, 160)
    )


def test_the_evidence_is_read_as_it_was_kept_without_a_line_that_was_cut_off(tmp_path: Path) -> None:
    evidence = tmp_path / "deep" / "soak.jsonl"
    assert read(evidence) == []
    keep(evidence, [ONE, OTHER])
    assert read(evidence) == [ONE, OTHER]
    assert evidence.with_suffix(".md").read_text() == table([ONE, OTHER])
    evidence.write_text(f"{ONE.to_line()}\n{OTHER.to_line()[:40]}")
    assert read(evidence) == [ONE]


def test_the_table_has_the_sums_each_fault_and_the_rounds_with_a_find() -> None:
    told = table([ONE, OTHER])
    for row in ("| faults | 6 |", "| acknowledged messages | 160 |", "| `kill` | 5 |", "| `pause` | 1 |"):
        assert row in told
    assert "| 7-2 | no gaps (2) |" in told
    assert "7-1" not in told
    assert "seed" not in table([ONE])


def test_a_round_has_what_its_run_reports() -> None:
    sent = Operation(1, "alice", "phone", Action.SEND, "room", "k", outcome=Outcome.OK, seq=1)
    first = History("7-1", operations=(sent,), faults=(Fault("kill", "edge", 0.0, 1.0),))
    second = History("7-1-2", operations=(sent, sent), faults=first.faults)
    judged = [Judged(first, []), Judged(second, [Breach("no gaps", ("room",), "there is one")])]
    found = Round.of_report(run.summary("7-1", judged), **ABOUT)
    assert (found.seed, found.messages, found.operations) == ("7-1", 2, 3)
    assert (found.faults, found.broken) == ({"kill": 1}, {"no gaps": 1})
