"""The scenario of `make load-routing` at a tiny scale: nothing is broadcast or lost, and the report has its shape."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from loadtests.event_routing.scenario import Plan, run_with
from loadtests.routing import write_report

TINY = replace(Plan(), users=64, events_per_s=500, seconds=1.0, rounds=2, idle_s=0.5)


async def test_two_replicas_share_the_events_and_no_event_is_handled_twice(tmp_path: Path) -> None:
    run = await run_with(2, TINY)
    assert (run.events, run.lost, run.duplicated) == (500, 0, 0)
    assert sum(run.handled_by_presence.values()) == sum(run.frames_of_presence.values()) == 500
    assert len([name for name, count in run.handled_by_presence.items() if count > 0]) == 2
    path = tmp_path / "reports" / "routing.json"
    write_report(path, TINY, [run], {"lost": 0})
    report = json.loads(path.read_text())
    assert report["handled_per_event"] == {"2": 1.0}
    assert {"events_per_replica", "scaling_error_percent", "total_cpu_growth_percent", "failover"} <= set(report)
