"""The report of a run: its verdict, and where it is written. The verdict is pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtests.evening import objectives, page
from loadtests.evening.measuring import GENERATOR_LATE_MS, about_this_run
from loadtests.scenario import write_report


def judge(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The objectives and the verdict of a run's figures: `held`, and `reasons` where not; `notes` say what to mind."""
    judged = [*objectives.judge_actions(figures.get("actions", {})), *figures.get("server_objectives", [])]
    reasons = [f"{name}: {value}" for name, value in figures.get("promises", {}).items() if value]
    reasons += [f"objective broken: {name}" for name in objectives.broken(judged)]
    grows = [name for name, memory in figures.get("memory", {}).items() if memory.get("grows")]
    reasons += [f"memory grows: {name}" for name in grows if figures.get("memory_decides")]
    reasons += figures.get("reasons", [])
    notes = []
    late = figures.get("actions", {}).get("generator", {}).get("ms", {}).get("p99", 0.0)
    if late > GENERATOR_LATE_MS:
        notes.append(f"The generator was late by {late:.0f} ms (p99): the latencies are partly its own.")
    few = [one["objective"] for one in judged if one["held"] is None]
    if few:
        notes.append(
            f"Too few to say: {', '.join(few)}. A single bad one of these may be chance, and is beyond the objective."
        )
    return {
        "objectives": judged,
        "verdict": {
            "held": not reasons,
            "in_words": "All held." if not reasons else f"Not held: {len(reasons)} of what is promised.",
            "reasons": reasons,
            "notes": notes,
        },
    }


def in_short(scenario: str, figures: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """A sentence for whoever reads no more."""
    if scenario != "evening":
        return ""
    counts, cores = figures["counts"], figures["cores_used"]
    people = plan["people"] * plan.get("generators", 1)
    # At another pace it is no figure of people who live as the table of habits says.
    a_core = f"; {people / cores:,.0f} people a core at this load" if cores and plan["pace"] == 1 else ""
    return (
        f"{people:,} people at {plan['pace']:g} times the usual pace for {plan['steady_s'] / 60:.2g} minutes after "
        f"{plan['warm_up_s'] / 60:.2g} of warm-up: {counts.get('sessions', 0):,} sessions, "
        f"{counts.get('messages', 0):,} messages, {counts.get('deliveries', 0):,} deliveries, "
        f"{counts.get('calls', 0):,} calls{a_core}."
    )


def write(path: Path, scenario: str, figures: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the JSON and, beside it, the page. Gives the report."""
    told = {**about_this_run(), **figures}
    report = write_report(
        path,
        "evening",
        {
            "scenario": scenario,
            "plan": dict(plan),
            "in_short": in_short(scenario, figures, plan),
            **judge(told),
            **told,
        },
    )
    path.with_suffix(".html").write_text(page.render(report))
    return report


def read(path: Path) -> dict[str, Any]:
    """A report that was written before."""
    report: dict[str, Any] = json.loads(path.read_text())
    return report
