"""The scenario of `make load-evening` at a tiny scale: people come, write and leave, and the report has its shape."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from loadtests.evening import reporting
from loadtests.evening.measuring import measure
from loadtests.evening.night import NightPlan
from tests.support.stack import RunningStack

# At this pace most of them are there at once, and none for long.
TINY = NightPlan(people=6, pace=60.0, warm_up_s=2.0, steady_s=6.0)


async def test_a_tiny_evening_loses_doubles_and_reorders_nothing_and_reports_every_figure(
    stack: RunningStack, tmp_path: Path
) -> None:
    said: list[str] = []
    figures = await measure(stack.record, "evening", [asdict(TINY)], lambda line: said.append(line["phase"]))
    path = tmp_path / "evening.json"
    reporting.write(path, "evening", figures, asdict(TINY))
    report = json.loads(path.read_text())
    assert report["promises"] == {"lost": 0, "duplicated": 0, "reordered": 0}
    assert report["faults"] == []
    assert report["counts"]["sessions"] > 0
    # The first words of each conversation, as two members have them.
    assert report["messages_compared"] >= 4 * report["town"]["direct_conversations"] > 0
    assert set(report["cores"]) == set(stack.record.pids)
    assert list(report["generator_cores"]) == ["generator"]
    assert (said[0], said[-1]) == ("building", "ending")
    assert path.with_suffix(".html").read_text().startswith("<!doctype html>")
