"""Charts as SVG that take their colours from the page, light or dark. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 270
LEFT, RIGHT, TOP, BOTTOM = 62, 22, 30, 70
# As many as the page has colours for; of more, the largest are drawn.
COLOURS = 8
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart; `is_faint` for what stands beside what is looked at."""

    name: str
    points: Sequence[Point]
    is_faint: bool = False


@dataclass(frozen=True)
class Axis:
    """`place` brings a value to 0..1; `ticks` are values that are named, by `name`."""

    place: Callable[[float], float]
    ticks: Sequence[float]
    name: Callable[[float], str]


def linear(low: float, high: float, name: Callable[[float], str]) -> Axis:
    """Even steps."""
    high = high if high > low else low + 1
    step = _nice((high - low) / 4)
    first = math.ceil(low / step - 1e-9)
    ticks = [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
    return Axis(lambda value: (value - low) / (high - low), ticks, name)


def logarithmic(low: float, high: float, name: Callable[[float], str]) -> Axis:
    """Each step is ten times the one before."""
    first, last = math.floor(math.log10(max(low, 1e-6))), math.ceil(math.log10(max(high, 1e-6)))
    last = max(last, first + 1)
    return Axis(
        lambda value: (math.log10(max(value, 1e-9)) - first) / (last - first),
        [10.0**n for n in range(first, last + 1)],
        name,
    )


def percentiles() -> Axis:
    """Each step leaves out a tenth of what the one before left out: 90, 99, 99.9."""

    def place(share: float) -> float:
        return min(-math.log10(max(1 - share / 100, 1e-4)) / 4, 1.0)

    return Axis(place, [0, 50, 90, 99, 99.9, 99.99], lambda share: f"{share:g}")


def chart(title: str, lines: Sequence[Line], x: Axis, y: Axis, x_title: str, limit: float | None = None) -> str:
    """One chart. `limit`: a line that should not be crossed, where it is within the axis."""
    drawn = [line for line in lines if line.points]
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text x="{LEFT}" y="16" class="title">{escape(title)}</text>',
        *_grid(x, y, x_title),
    ]
    if limit is not None and 0 <= y.place(limit) <= 1:
        at = _down(y.place(limit))
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" class="limit"/>')
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{at - 4:.1f}" class="limit-name">{escape(y.name(limit))}</text>')
    if not drawn:
        parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" class="none">nothing was measured</text>')
    for number, line in enumerate(drawn):
        parts.append(_path(line, number, x, y))
    return "".join([*parts, *_legend(drawn), "</svg>"])


def _grid(x: Axis, y: Axis, x_title: str) -> list[str]:
    parts = []
    for tick in y.ticks:
        if -1e-6 <= y.place(tick) <= 1 + 1e-6:
            at = _down(y.place(tick))
            parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" class="grid"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" class="y">{escape(y.name(tick))}</text>')
    for tick in x.ticks:
        if -1e-6 <= x.place(tick) <= 1 + 1e-6:
            at = _right(x.place(tick))
            parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 15}" class="x">{escape(x.name(tick))}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - BOTTOM + 28}" class="x-title">{escape(x_title)}</text>')
    return parts


def _path(line: Line, number: int, x: Axis, y: Axis) -> str:
    steps = " ".join(
        f"{_right(x.place(at)):.1f} {_down(min(max(y.place(value), 0.0), 1.0)):.1f}" for at, value in line.points
    )
    faint = " faint" if line.is_faint else ""
    if len(line.points) == 1:
        at, down = steps.split()
        dot = f'<circle cx="{at}" cy="{down}" r="2.5" class="dot c{number % COLOURS}">'
        return f"{dot}<title>{escape(line.name)}</title></circle>"
    return f'<path d="M{steps}" class="line c{number % COLOURS}{faint}"><title>{escape(line.name)}</title></path>'


def _legend(lines: Sequence[Line]) -> list[str]:
    parts = []
    for number, line in enumerate(lines):
        left, down = LEFT + number % 4 * 122, HEIGHT - 22 + number // 4 * 15
        parts.append(f'<path d="M{left} {down - 4}h12" class="line c{number % COLOURS}"/>')
        parts.append(f'<text x="{left + 16}" y="{down}" class="legend">{escape(line.name[:18])}</text>')
    return parts


def _right(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _down(share: float) -> float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _nice(step: float) -> float:
    """The next step that people count in: 1, 2 or 5 of some power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= step - 1e-12)


def milliseconds(value: float) -> str:
    """As one says it."""
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def minutes(value: float) -> str:
    """Of seconds."""
    return f"{value / 60:g}" if value % 60 == 0 else f"{value / 60:.1f}"
