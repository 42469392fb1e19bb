"""A run as one HTML page that needs nothing from elsewhere: what an engineer on call looks at. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from loadtests.evening import charts
from loadtests.evening.latencies import curve, from_text
from loadtests.evening.objectives import OBJECTIVES

# The colours of lines are made here: as many as charts have.
STYLE = (Path(__file__).parent / "page.css").read_text() + "".join(
    f".line.c{n}{{stroke:var(--c{n})}}.dot.c{n}{{fill:var(--c{n})}}" for n in range(charts.COLOURS)
)

_LIMITS = {one.action: one.within_ms for one in OBJECTIVES}
_MESSAGES = ("send", "deliver", "typing", "read")
_REST = ("session", "search", "upload", "download", "ring", "accept", "media")


def render(report: Mapping[str, Any]) -> str:
    """The page of a report."""
    title = f"{report['scenario']}: {report['verdict']['in_words']}"
    body = [
        *_head(report),
        *_headline(report),
        *_promises(report),
        *_objectives(report),
        *_limit_search(report),
        *_latency_charts(report),
        *_resources(report),
        *_counts(report),
    ]
    return document(title, body)


def document(title: str, body: Iterable[str]) -> str:
    """A whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text: frozenset[int] = frozenset({0})) -> str:
    """Cells are HTML already; the columns in `text` are words."""

    def cell(tag: str, number: int, value: str) -> str:
        return f"<{tag}{' class=text' if number in text else ''}>{value}</{tag}>"

    lines = [f"<tr>{''.join(cell('td', number, value) for number, value in enumerate(row))}</tr>" for row in rows]
    names = "".join(cell("th", number, escape(value)) for number, value in enumerate(head))
    size = "narrow" if len(head) <= 3 else "full"
    return f"<div class=wide><table class={size}><tr>{names}</tr>{''.join(lines)}</table></div>"


def about(report: Mapping[str, Any]) -> str:
    """Machine, commit, date and command, in one paragraph."""
    machine = report["machine"]
    return (
        f"<p class=soft>{escape(report['date'])}, commit {escape(report['commit'])}, {machine['cores']} cores "
        f"({escape(machine['processor'])}), {machine['memory_gib']} GiB, load average "
        f"{', '.join(f'{load:g}' for load in report['load_average'])}</p>"
        f"<p class=soft><code>{escape(report['command'])}</code></p>"
    )


def _head(report: Mapping[str, Any]) -> list[str]:
    verdict = report["verdict"]
    colour = "good" if verdict["held"] else "bad"
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict["reasons"])
    notes = "".join(f"<p class=wait>{escape(note)}</p>" for note in verdict["notes"])
    return [
        f"<h1>{escape(report['scenario'].capitalize())}</h1>",
        f'<p class="verdict {colour}">{escape(verdict["in_words"])}</p>',
        f"<ul class=bad>{reasons}</ul>" if reasons else "",
        notes,
        f"<p>{escape(report['in_short'])}</p>",
        about(report),
    ]


def _headline(report: Mapping[str, Any]) -> list[str]:
    rows = [(escape(name), escape(str(value))) for name, value in report.get("headline", {}).items()]
    return ["<h2>Figures</h2>", table(("figure", "value"), rows)] if rows else []


def _promises(report: Mapping[str, Any]) -> list[str]:
    promises = report.get("promises")
    if not promises:
        return []
    said = ", ".join(f"{name} <b class={'bad' if value else 'good'}>{value}</b>" for name, value in promises.items())
    faults = "".join(f"<li>{escape(fault)}</li>" for fault in report.get("faults", []))
    compared = report.get("messages_compared")
    looked = f" ({compared:,} messages of members' histories were compared)" if compared else ""
    return ["<h2>Promises</h2>", f"<p>{said}{looked}</p>", f"<ul class=bad>{faults}</ul>" if faults else ""]


def _objectives(report: Mapping[str, Any]) -> list[str]:
    judged = report.get("objectives", [])
    if not judged:
        return []
    rows = []
    for one in judged:
        ms = report["actions"].get(one["objective"], {}).get("ms", {}) if one["from"] == "here" else {}
        within = f" within {charts.milliseconds(one['within_ms'])}" if one.get("within_ms") else ""
        used = _used(one["budget_used"])
        rows.append(
            (
                escape(one["objective"]),
                escape(one["what"]),
                f"{one['share'] * 100:g} %{within}",
                f"{one['total']:,}",
                f"{one['bad']:,}",
                used,
                *(_ms(ms.get(name)) for name in ("p50", "p95", "p99", "max")),
                _held(one["held"]),
            )
        )
    head = ("objective", "of what", "at least", "all", "bad", "budget used", "p50 ms", "p95", "p99", "max", "")
    return ["<h2>Objectives</h2>", table(head, rows, frozenset({0, 1}))]


def _used(budget: float | None) -> str:
    if budget is None:
        return ""
    return f"{budget:.0%}" if budget < 10 else f"{budget:,.0f} ×"


def _held(held: bool | None) -> str:
    return {True: "<b class=good>held</b>", False: "<b class=bad>broken</b>"}.get(
        held,  # type: ignore[arg-type]
        "<span class=wait>too few to say</span>",
    )


def _limit_search(report: Mapping[str, Any]) -> list[str]:
    found = report.get("limits")
    if not found:
        return []
    rows = [
        (escape(name), _count(row["held_at"]), _count(row["broke_at"])) for name, row in found["objectives"].items()
    ]
    all_held = _count(found["all_held_at"])
    return [
        "<h2>What breaks first</h2>",
        f"<p>All held at <b>{all_held}</b> people; users a core: <b>{_count(found.get('people_per_core'))}</b>. "
        f"{found['runs']} runs.</p>",
        table(("objective", "held at, people", "broke at, people"), rows),
    ]


def _latency_charts(report: Mapping[str, Any]) -> list[str]:
    actions = report.get("actions", {})
    parts = []
    for title, names in (("Messages", _MESSAGES), ("Sessions, files, calls", _REST)):
        known = [name for name in names if actions.get(name, {}).get("count")]
        if known:
            parts += [_over_time(f"{title}: 99th percentile", actions, known), _distribution(title, actions, known)]
    return ["<h2>Latency</h2>", f"<div class=charts>{''.join(parts)}</div>"] if parts else []


def _over_time(title: str, actions: Mapping[str, Any], names: Sequence[str]) -> str:
    lines = [charts.Line(name, [(row[0], row[3]) for row in actions[name]["series"]]) for name in names]
    return charts.chart(
        title, lines, _time_axis(lines), _ms_axis(lines), "minutes; the warm-up is before 0", _limit(names)
    )


def _distribution(title: str, actions: Mapping[str, Any], names: Sequence[str]) -> str:
    lines = [charts.Line(name, curve(from_text(actions[name]["hdr"]))) for name in names]
    return charts.chart(
        f"{title}: distribution", lines, charts.percentiles(), _ms_axis(lines), "percentile", _limit(names)
    )


def _limit(names: Sequence[str]) -> float | None:
    """Where the lines have one limit in common."""
    limits = {_LIMITS.get(name) for name in names}
    return limits.pop() if len(limits) == 1 else None


def _resources(report: Mapping[str, Any]) -> list[str]:
    if "cores" not in report:
        return []
    over, cores = report["over_time"], report["cores"]
    dearest = sorted(cores, key=lambda name: -cores[name])[: charts.COLOURS]
    cpu = [charts.Line(name, list(zip(over["at_s"], over["cores"][name], strict=True))) for name in dearest]
    memory = [charts.Line(name, list(zip(over["at_s"], over["memory_mib"][name], strict=True))) for name in dearest]
    made = report["generator_cores"]
    load = [
        charts.Line(name, list(zip(over["load"]["at_s"], over["load"][name], strict=True)))
        for name in ("devices", "in calls")
        if any(over["load"][name])
    ]
    lateness = report.get("actions", {}).get("generator", {}).get("ms", {})
    late = f", late by {lateness['p99']:g} ms at the 99th percentile" if lateness else ""
    return [
        "<h2>What the processes take</h2>",
        f"<p>The stack {report['cores_used']:.2f} cores; beside it the generator "
        f"{sum(made.values()):.2f} cores{late}.</p>",
        "<div class=charts>",
        charts.chart("Load: devices there, and people in calls", load, _time_axis(load), _value_axis(load), "minutes"),
        charts.chart("CPU, cores", cpu, _time_axis(cpu), _value_axis(cpu), "minutes"),
        charts.chart("Memory, MiB", memory, _time_axis(memory), _value_axis(memory), "minutes"),
        "</div>",
        table(
            ("process", "cores", "first MiB", "last MiB", "MiB in 10 min", "memory"),
            [_process_row(name, report) for name in sorted(cores, key=lambda name: -cores[name])],
        ),
        f"<p class=soft>Memory grows when {escape(report['memory_rule'])}."
        f"{'' if report['memory_decides'] else ' This window is too short for a verdict that counts.'}</p>",
    ]


def _process_row(name: str, report: Mapping[str, Any]) -> tuple[str, ...]:
    memory = report["memory"].get(name, {})
    slope = memory.get("slope_per_minute")
    grows = memory.get("grows")
    colour = "wait" if grows is None or not report["memory_decides"] else ("bad" if grows else "good")
    word = {True: "grows", False: "flat"}.get(grows, "too few samples")
    return (
        escape(name),
        f"{report['cores'][name]:.3f}",
        f"{memory.get('first_mib', 0):g}",
        f"{memory.get('last_mib', 0):g}",
        "" if slope is None else f"{slope * 10:+.2f}",
        f"<span class={colour}>{word}</span>",
    )


def _counts(report: Mapping[str, Any]) -> list[str]:
    counts = report.get("counts", {})
    rows = [(escape(name), f"{value:,}") for name, value in counts.items() if name not in report.get("promises", {})]
    failed = [
        (escape(name), f"{action['failed']:,}", escape(", ".join(f"{r} {n}" for r, n in action["reasons"].items())))
        for name, action in report.get("actions", {}).items()
        if action["failed"]
    ]
    parts = ["<h2>What happened</h2>", table(("what", "how often"), rows)] if rows else []
    if failed:
        parts += ["<h2>What failed</h2>", table(("action", "how often", "reasons"), failed, frozenset({0, 2}))]
    return parts


def _time_axis(lines: Sequence[charts.Line]) -> charts.Axis:
    times = [at for line in lines for at, _ in line.points]
    low, high = min(times, default=0.0), max(times, default=60.0)
    axis = charts.linear(low / 60, high / 60, lambda value: f"{value:g}")
    return charts.Axis(lambda at: axis.place(at / 60), [tick * 60 for tick in axis.ticks], charts.minutes)


def _ms_axis(lines: Sequence[charts.Line]) -> charts.Axis:
    values = [value for line in lines for _, value in line.points]
    return charts.logarithmic(max(min(values, default=1.0), 0.1), max(values, default=1000.0), charts.milliseconds)


def _value_axis(lines: Sequence[charts.Line]) -> charts.Axis:
    return charts.linear(0.0, max((value for line in lines for _, value in line.points), default=1.0), "{:g}".format)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
