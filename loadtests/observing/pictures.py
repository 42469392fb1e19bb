"""A dashboard's panels as an SVG, drawn from what Prometheus answered. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from deploy.observability.queries import Panel

COLUMNS, WIDTH, HEIGHT, GAP = 3, 420, 210, 12
LEFT, RIGHT, TOP, BOTTOM = 58, 10, 28, 40
COLOURS = ("#3274d9", "#e0752d", "#299c46", "#a352cc", "#c4162a", "#8f8f16", "#13a8a8", "#7c5c3b")
MOST_LEGENDS = 6


@dataclass(frozen=True)
class Line:
    """One line of a panel; times in Unix seconds."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Drawn:
    """A panel with its lines; `why_empty` is shown where there are none."""

    panel: Panel
    lines: tuple[Line, ...]
    why_empty: str = ""


def legend(template: str, labels: dict[str, str], expr: str) -> str:
    """Grafana's legend: labels in double braces are replaced; without a template, the labels or else the query."""
    if template:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), template)
    told = ", ".join(f"{name}={value}" for name, value in labels.items() if name != "__name__")
    return told or expr


def dashboard(title: str, drawn: Sequence[Drawn], begin_s: float, end_s: float) -> str:
    """The SVG of a dashboard from `begin_s` to `end_s`."""
    rows = -(-len(drawn) // COLUMNS)
    width, height = COLUMNS * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP) + GAP + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>',
        f'<text x="{GAP}" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for index, one in enumerate(drawn):
        x, y = GAP + index % COLUMNS * (WIDTH + GAP), 24 + GAP + index // COLUMNS * (HEIGHT + GAP)
        parts += [f'<g transform="translate({x},{y})">', *_panel(one, begin_s, end_s), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(drawn: Drawn, begin_s: float, end_s: float) -> list[str]:
    parts = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="3" fill="#fff" stroke="#d8d9da"/>',
        f'<text x="10" y="18" font-size="12" font-weight="bold">{escape(drawn.panel.title)}</text>',
    ]
    if not drawn.lines:
        said = escape(f"No data: {drawn.why_empty}" if drawn.why_empty else "No data")
        return [
            *parts,
            f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" font-size="11" fill="#777" text-anchor="middle">{said}</text>',
        ]
    top = max(value for line in drawn.lines for _, value in line.points)
    low = min(0.0, min(value for line in drawn.lines for _, value in line.points))
    top = top if top > low else low + 1
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    for step in range(5):
        value, y = low + (top - low) * step / 4, TOP + high - high * step / 4
        parts.append(f'<path d="M{LEFT} {y:.1f}h{wide}" stroke="#e8e8e8"/>')
        label = escape(quantity(value, drawn.panel.unit))
        parts.append(
            f'<text x="{LEFT - 4}" y="{y + 4:.1f}" font-size="10" fill="#555" text-anchor="end">{label}</text>'
        )
    for index, line in enumerate(drawn.lines):
        path = " ".join(
            f"{'L' if number else 'M'}{LEFT + (at - begin_s) / (end_s - begin_s) * wide:.1f}"
            f" {TOP + high - (value - low) / (top - low) * high:.1f}"
            for number, (at, value) in enumerate(line.points)
        )
        parts.append(f'<path d="{path}" fill="none" stroke="{_colour(index)}" stroke-width="1.4"/>')
    return [
        *parts,
        *_legends(drawn.lines),
        f'<text x="{WIDTH - 10}" y="18" font-size="10" fill="#777" text-anchor="end">{end_s - begin_s:.0f} s</text>',
    ]


def _legends(lines: Sequence[Line]) -> list[str]:
    parts = []
    for index, line in enumerate(lines[:MOST_LEGENDS]):
        x, y = LEFT + index % 3 * 118, HEIGHT - 22 + index // 3 * 14
        parts.append(f'<rect x="{x}" y="{y - 7}" width="9" height="3" fill="{_colour(index)}"/>')
        parts.append(f'<text x="{x + 12}" y="{y}" font-size="9.5">{escape(line.name[:21])}</text>')
    return parts


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def quantity(value: float, unit: str) -> str:
    """A value as Grafana would write it: `12 ms`, `3.4 k`, `25 %`."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    suffix = {"s": " s", "Bps": "B/s", "reqps": "/s", "ops": "/s"}.get(unit, "")
    for factor, prefix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{suffix.strip()}"
    return f"{value:.3g}{suffix}"
