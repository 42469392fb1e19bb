"""One call as a page: lanes over its time, drawn in SVG, and the record in words below. One file that needs no other.

It is well-formed XML. All that comes from the record is escaped: people choose the names of their devices.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import zip_longest

from services.ops.timeline import POOR_LOSS, CallState, Leg, Measured, Media, Moment, Row, Silence, rows_of

WIDTH, LABELS, LANE, GAP, TEXT = 1120, 210, 20, 6, 6.2
# A lane of loss is full at this much.
FULL_LOSS = 0.2
# Between two marks of the axis, in seconds: the first that makes no more than MARKS of them.
STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
MARKS = 12

STYLE = """
:root { color-scheme: light dark; --ink: #1c2230; --dim: #667085; --line: #d5dae3; --page: #fff; --on: #4a7fd6;
  --ring: #e3a93b; --off: #98a2b3; --bad: #c8372d; --wait: #b58bd0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf1; --dim: #98a2b3; --line: #344054; --page: #12161f;
  --on: #5b8def; --bad: #f0675c; } }
body { margin: 24px; font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--page); }
h1 { font-size: 18px; } h1 code { font-size: 15px; } svg { display: block; max-width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--ink); } svg .axis, svg .unit { fill: var(--dim); }
svg line { stroke: var(--line); } svg .device { font-weight: 600; }
.on { fill: var(--on); } .ring { fill: var(--ring); } .off { fill: var(--off); } .bad { fill: var(--bad); }
.wait { fill: var(--wait); } .in { fill: #fff; pointer-events: none; }
svg .move { stroke: var(--bad); stroke-dasharray: 3 3; }
.rate { fill: none; stroke: var(--on); stroke-width: 1.5; }
.bears { fill: none; stroke: var(--dim); stroke-dasharray: 4 3; }
table { border-collapse: collapse; margin-top: 20px; } td, th { text-align: left; vertical-align: top;
  padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line); } td:first-child { white-space: nowrap;
  font-variant-numeric: tabular-nums; } tr.fault td:last-child { color: var(--bad); }
.key span { margin-right: 16px; } .key i { display: inline-block; width: 12px; height: 10px; margin-right: 5px; }
"""
KEY = (
    ("on", "media, or in the call"),
    ("ring", "rings"),
    ("wait", "silent, or waits for a key frame"),
    ("bad", "lost, frozen, made up"),
)


@dataclass(frozen=True)
class Span:
    """A part of a lane. `level`: how much of its height, from below; `text` is shown where there is room."""

    begin: datetime
    end: datetime
    kind: str
    title: str
    text: str = ""
    level: float = 1.0


@dataclass(frozen=True)
class Lane:
    """Spans beside a label; a `head` names what follows. `curves`: over time, by kind, in `unit`."""

    label: str
    spans: Sequence[Span] = ()
    head: bool = False
    curves: Sequence[tuple[str, Sequence[tuple[datetime, float]]]] = ()
    unit: str = ""


def render(call_id: str, moments: Iterable[Moment], *, every: bool = False) -> str:
    """The page of a call of which there are moments; the table as `timeline` has it."""
    told = sorted(moments, key=lambda moment: moment.time)
    began, ended = told[0].time, max(told[-1].time, told[0].time + timedelta(seconds=1))
    title = f"Call {call_id}"
    duration_s = (ended - began).total_seconds()
    rows = "".join(_row(row) for row in rows_of(told, every=every))
    key = "".join(f'<span><i class="{kind}" style="background: var(--{kind})"></i>{text}</span>' for kind, text in KEY)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>{escape(title)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<style>{STYLE}</style></head><body>
<h1>Call <code>{escape(call_id)}</code></h1>
<p>{began.isoformat(timespec="seconds")}, {duration_s:.0f} s. Hold the pointer on a bar to read it.</p>
<p class="key">{key}</p>
{_draw(lanes_of(told, ended), began, ended)}
<table><thead><tr><th>Time</th><th>Who</th><th>What</th></tr></thead><tbody>
{rows}</tbody></table></body></html>
"""


def _row(row: Row) -> str:
    kind = ' class="fault"' if row.faults else ""
    return f"<tr{kind}><td>{_clock(row.time)}</td><td>{escape(row.who)}</td><td>{escape(row.what)}</td></tr>\n"


def lanes_of(moments: Sequence[Moment], ended: datetime) -> list[Lane]:
    """The call's lane, then those of each device, in the order in which they came."""
    states = [moment for moment in moments if isinstance(moment, CallState)]
    lanes = [Lane("call", list(_states(states, ended)))]
    by_device: dict[str, list[Media | Silence | Measured]] = {}
    for moment in moments:
        if not isinstance(moment, CallState):
            by_device.setdefault(moment.device, []).append(moment)
    for device, own in by_device.items():
        measured = [moment for moment in own if isinstance(moment, Measured)]
        lanes += [Lane(device, head=True), Lane("media", _media(own, ended))]
        if measured:
            lanes += _measurements(measured)
    return lanes


def _measurements(measured: Sequence[Measured]) -> list[Lane]:
    rates = [(one.time, one.downlink.kbps) for one in measured]
    estimates = [(one.time, one.estimate_kbps) for one in measured if one.estimate_kbps]
    return [
        Lane("loss, up", list(_losses(measured, lambda one: one.uplink))),
        Lane("loss, down", list(_losses(measured, lambda one: one.downlink))),
        Lane("receives; path bears", curves=[("rate", rates), ("bears", estimates)], unit="kbit/s"),
        Lane("sees", list(_seen(measured))),
        Lane("noticed", [_span(one, "bad", "; ".join(one.faults)) for one in measured if one.frozen or one.concealed]),
    ]


def _states(states: Sequence[CallState], ended: datetime) -> Iterator[Span]:
    for state, end in _until_next(states, ended, lambda state: (state.state, state.joined, state.epoch)):
        kind = {"ringing": "ring", "active": "on"}.get(state.state, "off")
        people = ", ".join(state.joined) or "nobody"
        moved = f"; media moved ({state.move})" if state.epoch else ""
        yield Span(state.time, end, kind, f"{state.state}; in it: {people}{moved}", state.state)


def _media(own: Sequence[Media | Silence | Measured], ended: datetime) -> list[Span]:
    """On each worker from the time when it connected to the time when it left; over that its silences."""
    connected: dict[str, datetime] = {}
    silent: dict[str, datetime] = {}
    media: list[Span] = []
    silences: list[Span] = []

    def hear(worker: str, time: datetime) -> None:
        since = silent.pop(worker, None)
        if since is not None:
            silences.append(Span(since, time, "wait", f"silent on {worker}", "silent"))

    for moment in own:
        if isinstance(moment, Silence):
            silent.setdefault(moment.worker, moment.since)
        elif isinstance(moment, Media):
            worker, time = moment.worker, moment.time
            hear(worker, time)
            if moment.reason:
                title = f"{worker}, to {_clock(time)}: {moment.reason}"
                media.append(Span(connected.pop(worker, time), time, "on", title, worker))
            else:
                connected.setdefault(worker, time)
    media += [Span(begin, ended, "on", worker, worker) for worker, begin in connected.items()]
    for worker in tuple(silent):
        hear(worker, ended)
    return media + silences


def _losses(measured: Sequence[Measured], leg_of: Callable[[Measured], Leg]) -> Iterator[Span]:
    for one in measured:
        leg = leg_of(one)
        title = f"{leg.loss:.1%} lost, {leg.kbps:.0f} kbit/s"
        title += (f", {leg.rtt_ms:.0f} ms" if leg.rtt_ms else "") + (f", MOS {leg.mos:.1f}" if leg.mos else "")
        kind = "bad" if leg.loss >= POOR_LOSS else "off"
        # A line at the least: it was measured.
        yield _span(one, kind, title, level=max(0.06, min(leg.loss / FULL_LOSS, 1.0)))


def _seen(measured: Sequence[Measured]) -> Iterator[Span]:
    begin = measured[0]
    for one, following in zip_longest(measured, measured[1:]):
        if following is not None and following.videos == one.videos and following.worker == one.worker:
            continue
        text = ", ".join(begin.videos) or "nobody"
        waits = any("switching" in video or "nothing yet" in video for video in begin.videos)
        kind = "wait" if waits else "on" if begin.videos else "off"
        yield Span(begin.time - timedelta(seconds=begin.seconds), one.time, kind, text, text)
        begin = following or begin


def _span(one: Measured, kind: str, title: str, level: float = 1.0) -> Span:
    return Span(one.time - timedelta(seconds=one.seconds), one.time, kind, title, level=level)


def _until_next(
    states: Sequence[CallState], ended: datetime, key: Callable[[CallState], object]
) -> Iterator[tuple[CallState, datetime]]:
    changes = [state for at, state in enumerate(states) if not at or key(state) != key(states[at - 1])]
    for state, following in zip_longest(changes, changes[1:]):
        yield state, following.time if following else ended


def _draw(lanes: Sequence[Lane], began: datetime, ended: datetime) -> str:
    duration_s = (ended - began).total_seconds()
    height = (len(lanes) + 1) * (LANE + GAP) + GAP

    def x(time: datetime) -> float:
        share = (time - began).total_seconds() / duration_s
        return LABELS + (WIDTH - LABELS - GAP) * min(max(share, 0.0), 1.0)

    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">']
    step = next((step for step in STEPS if duration_s / step <= MARKS), STEPS[-1])
    for mark in range(0, int(duration_s) + 1, step):
        at = x(began + timedelta(seconds=mark))
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{LANE}" y2="{height}"/>')
        parts.append(f'<text class="axis" x="{at + 3:.1f}" y="14">{mark // 60}:{mark % 60:02}</text>')
    top = LANE + GAP
    for lane in lanes:
        kind = "device" if lane.head else "lane"
        label = _fit(lane.label, LABELS - 2 * GAP)
        parts.append(f'<text class="{kind}" x="{0 if lane.head else GAP}" y="{top + 14}">{label}</text>')
        parts += [_bar(span, x, top) for span in lane.spans]
        parts += _curves(lane, x, top)
        top += LANE + GAP
    return "\n".join((*parts, "</svg>"))


def _bar(span: Span, x: Callable[[datetime], float], top: float) -> str:
    begin, end = x(span.begin), x(span.end)
    # What lasted no time is seen all the same.
    width, height = max(end - begin, 1.5), LANE * span.level
    bar = (
        f'<rect class="{span.kind}" x="{begin:.1f}" y="{top + LANE - height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}"><title>{escape(_clock(span.begin))} {escape(span.title)}</title></rect>'
    )
    text = _fit(span.text, width - 8)
    return bar + (f'<text class="in" x="{begin + 4:.1f}" y="{top + 14}">{text}</text>' if text else "")


def _curves(lane: Lane, x: Callable[[datetime], float], top: float) -> Iterator[str]:
    most = max((value for _, points in lane.curves for _, value in points), default=0.0)
    if not most:
        return
    for kind, points in lane.curves:
        line = " ".join(f"{x(time):.1f},{top + LANE * (1 - value / most):.1f}" for time, value in points)
        yield f'<polyline class="{kind}" points="{line}"><title>up to {most:.0f} {lane.unit}</title></polyline>'
    yield f'<text class="unit" x="{LABELS - GAP}" y="{top + 14}" text-anchor="end">{most:.0f} {lane.unit}</text>'


def _fit(text: str, width: float) -> str:
    """As much of a text as has room, escaped; nothing where it would be a letter or two."""
    room = int(width / TEXT)
    if len(text) > room:
        text = f"{text[: room - 1]}…" if room > 3 else ""
    return escape(text)


def _clock(time: datetime) -> str:
    return time.strftime("%H:%M:%S.") + f"{time.microsecond // 1000:03}"
