"""Two runs beside each other: a table for the terminal, and a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from loadtests.evening import charts, page
from loadtests.evening.latencies import curve, from_text

# Below this a change is what two runs on one machine differ by anyway.
NOTICED = 0.10
_SHOWN = ("p50", "p95", "p99", "max")

# What it is, the value before, the value after.
Row = tuple[str, float | None, float | None]


def rows(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Row]:
    """Latencies in ms, CPU in cores, memory in MiB, promises and budgets, of what either run has."""
    for name in _names(one, other, "actions"):
        first, second = (run.get("actions", {}).get(name, {}).get("ms", {}) for run in (one, other))
        for level in _SHOWN:
            if level in first or level in second:
                yield f"{name} {level}, ms", first.get(level), second.get(level)
    for name in _names(one, other, "cores"):
        yield f"{name}, cores", one.get("cores", {}).get(name), other.get("cores", {}).get(name)
    yield "all of the stack, cores", one.get("cores_used"), other.get("cores_used")
    for name in _names(one, other, "memory"):
        first, second = (run.get("memory", {}).get(name, {}) for run in (one, other))
        yield f"{name} at the end, MiB", first.get("last_mib"), second.get("last_mib")
    for name in _names(one, other, "promises"):
        yield name, one.get("promises", {}).get(name), other.get("promises", {}).get(name)


def change(before: float | None, after: float | None) -> float | None:
    """1.1 for a tenth more; None where there is nothing to compare."""
    return after / before if before and after is not None else None


def text(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """For the terminal; what changed by a tenth and more has a mark."""
    lines = [f"{'':<28}{_title(one):>16}{_title(other):>16}{'':>10}"]
    for what, before, after in rows(one, other):
        ratio = change(before, after)
        mark = "" if ratio is None or abs(ratio - 1) < NOTICED else " <" if ratio < 1 else " >"
        lines.append(f"{what:<28}{_value(before):>16}{_value(after):>16}{_ratio(ratio):>10}{mark}")
    return "\n".join(lines)


def html(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The page."""
    cells = []
    for what, before, after in rows(one, other):
        ratio = change(before, after)
        colour = "" if ratio is None or abs(ratio - 1) < NOTICED else "good" if ratio < 1 else "bad"
        cells.append((escape(what), _value(before), _value(after), f"<span class='{colour}'>{_ratio(ratio)}</span>"))
    body = [
        "<h1>Two runs</h1>",
        f"<p><b>A</b> {escape(one.get('in_short', ''))}</p>{page.about(one)}",
        f"<p><b>B</b> {escape(other.get('in_short', ''))}</p>{page.about(other)}",
        "<p class=soft>Colours mark a change of a tenth and more. One run beside one other says little: "
        "a machine differs by that from hour to hour.</p>",
        "<h2>Distributions</h2>",
        f"<div class=charts>{''.join(_charts(one, other))}</div>",
        "<h2>Figures</h2>",
        page.table(("", f"A {_title(one)}", f"B {_title(other)}", "B by A"), cells),
    ]
    return page.document("Two runs", body)


def _charts(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for name in _names(one, other, "actions"):
        pair = [run.get("actions", {}).get(name) for run in (one, other)]
        if any(action is None or not action["count"] for action in pair):
            continue
        first, second = (curve(from_text(action["hdr"])) for action in pair if action)
        lines = [charts.Line(f"A {name}", first), charts.Line(f"B {name}", second)]
        values = [value for line in lines for _, value in line.points] or [1.0]
        axis = charts.logarithmic(max(min(values), 0.1), max(values), charts.milliseconds)
        yield charts.chart(name, lines, charts.percentiles(), axis, "percentile")


def _names(one: Mapping[str, Any], other: Mapping[str, Any], part: str) -> list[str]:
    return list(dict.fromkeys([*one.get(part, {}), *other.get(part, {})]))


def _title(report: Mapping[str, Any]) -> str:
    return str(report.get("label") or report.get("commit", ""))[:16]


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"× {ratio:.2f}"
