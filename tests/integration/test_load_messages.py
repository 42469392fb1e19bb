"""The scenario of `make load-messages` at a tiny scale: its proof holds, and its report has the promised shape."""

from __future__ import annotations

import json
from pathlib import Path

from loadtests.message_path.figures import MEDIANS, PROCESSES, SUMMED
from loadtests.message_path.parts import Plan
from loadtests.messages import run_rounds
from loadtests.scenario import write_report
from tests.support.stack import RunningStack

TINY = Plan(
    paced_pairs=2,
    paced_rate=20.0,
    paced_s=1.0,
    full_pairs=2,
    full_concurrency=2,
    full_s=0.5,
    group_members=8,
    group_rate=10.0,
    group_messages=3,
    baseline_s=0.2,
)


async def test_a_tiny_round_loses_doubles_and_reorders_nothing_and_reports_every_figure(
    stack: RunningStack, tmp_path: Path
) -> None:
    path = tmp_path / "reports" / "messages.json"
    write_report(path, "messages", await run_rounds(stack.record, TINY, rounds=1))
    report = json.loads(path.read_text())
    assert {name: report[name] for name in SUMMED} == dict.fromkeys(SUMMED, 0)
    assert set(report) == {*MEDIANS, *SUMMED, "load_average", "command", "date", "rounds"}
    assert set(report["send_to_deliver_ms"]) == {"p50", "p95", "p99"}
    assert set(report["group256_last_ms"]) == {"p95"}
    assert set(report["cpu_s_per_1000"]) == {*PROCESSES.values(), "client"}
    only = report["rounds"][0]
    assert only["messages"]["paced"] == 20
    assert only["messages"]["group"] == 3
    assert only["messages"]["saturated"] > 0
    assert only["not_delivered_live"] == only["refused"] == 0
