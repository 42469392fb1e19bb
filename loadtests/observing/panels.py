"""What each panel of each dashboard shows over a running stack, and which may show nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from deploy.observability.queries import Panel, panels
from loadtests.observing.pictures import Drawn, Line, dashboard, legend
from loadtests.observing.prometheus import Prometheus

# Nothing of the kind happens in the demo's traffic; a counter by label has no series before its first event.
EMPTY_IN_PEACE = {
    ("parley-calls", "Failures by stage"): "no call fails to be set up",
    ("parley-calls", "Calls that move"): "no worker drains or dies",
    ("parley-calls", "Time of a move"): "no call moves",
    ("parley-previews", "Asked for, by result and source"): "nobody writes a link",
    ("parley-previews", "Fetches, by what came of them"): "nobody writes a link",
    ("parley-previews", "A fetch (p50, p99)"): "nobody writes a link",
    ("parley-calls", "Push webhooks"): "no push provider is configured",
    ("parley-edge", "Users over their own limits"): "no user asks for too much",
    ("parley-gateway", "Streams refused"): "no stream is refused",
    ("parley-gateway", "Resumes"): "no device comes back",
    ("parley-gateway", "Resyncs"): "no device has to sync anew",
    ("parley-sfu", "Dropped by reason"): "no packet is dropped",
}


async def draw(prometheus: Prometheus, seconds: float) -> list[Drawn]:
    """All panels with what their queries gave over the last `seconds`."""
    return [await _draw(prometheus, panel, seconds) for panel in panels()]


def faults(drawn: Sequence[Drawn]) -> list[str]:
    """Panels that show nothing though they should."""
    return [
        f"{one.panel.dashboard}: {one.panel.title} has no data" for one in drawn if not one.lines and not one.why_empty
    ]


def empty(drawn: Sequence[Drawn]) -> dict[str, str]:
    """Panels that show nothing and may, each with the reason."""
    return {f"{one.panel.dashboard}: {one.panel.title}": one.why_empty for one in drawn if not one.lines}


def paint(drawn: Sequence[Drawn], folder: Path, seconds: float) -> list[Path]:
    """Writes an SVG for each dashboard into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    written = []
    for name, of_dashboard in groupby(drawn, key=lambda one: one.panel.dashboard):
        path = folder / f"{name}.svg"
        path.write_text(dashboard(name, list(of_dashboard), now - seconds, now))
        written.append(path)
    return written


async def _draw(prometheus: Prometheus, panel: Panel, seconds: float) -> Drawn:
    lines = [
        Line(legend(target.legend, dict(series.labels), target.expr), series.points)
        for target in panel.targets
        for series in await prometheus.series(target.expr, seconds)
    ]
    return Drawn(panel, tuple(lines), "" if lines else EMPTY_IN_PEACE.get((panel.dashboard, panel.title), ""))
