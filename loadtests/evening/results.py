"""Reports as the table of a page in docs/benchmarks: each figure with its machine, date, commit and command. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_SHOWN = ("send", "deliver", "session", "media")


def markdown(reports: Iterable[Mapping[str, Any]]) -> str:
    """One row a report."""
    lines = ["| scenario | figures | verdict | machine, date | commit, command |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(_row(report) for report in reports)])


def _row(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    cells = (
        report["scenario"],
        figures_of(report),
        "held" if report["verdict"]["held"] else "; ".join(report["verdict"]["reasons"]),
        f"{machine['cores']} cores ({machine['processor']}), {report['date'][:10]}, load {report['load_average'][0]:g}",
        f"{report['commit']}, `{report['command']}`",
    )
    return f"| {' | '.join(cells)} |"


def figures_of(report: Mapping[str, Any]) -> str:
    """The scenario's own figures; of the evening what it was, and 99th percentiles."""
    if report.get("headline"):
        return ", ".join(f"{name} {value}" for name, value in report["headline"].items())
    actions = report.get("actions", {})
    p99 = ", ".join(f"{name} {actions[name]['ms']['p99']:g}" for name in _SHOWN if actions.get(name, {}).get("ms"))
    limits = report.get("limits", {}).get("all_held_at")
    found = f"; all held at {limits:,} people" if limits else ""
    return f"{report['in_short']} p99 ms: {p99}{found}"
