"""How long things took: HDR histograms of the steady window, and percentiles over time. Pure: time is an argument.

A latency is counted from when the action was due: what waits behind something slow is not left out (coordinated
omission). Whatever was due before the steady window, or after it, is only in the series over time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram

from loadtests.message_path.figures import percentile

# Microseconds up to an hour, three digits: what is measured is told to 0.1 %.
LEAST_US, MOST_US, DIGITS = 1, 3_600_000_000, 3
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
# Raising it smooths the plots; lowering it leaves too few values for a percentile.
INTERVAL_S = 10.0


def new_histogram() -> HdrHistogram:
    """An empty one."""
    return HdrHistogram(LEAST_US, MOST_US, DIGITS)


def from_text(text: str) -> HdrHistogram:
    """One that `to_text` wrote."""
    histogram = new_histogram()
    histogram.decode_and_add(text)
    return histogram


def to_text(histogram: HdrHistogram) -> str:
    """In the format that all HdrHistogram libraries read: base64 of the compressed V2 encoding."""
    encoded: bytes = histogram.encode()
    return encoded.decode()


def above(histogram: HdrHistogram, limit_ms: float) -> int:
    """How many took longer."""
    limit_us = limit_ms * 1000
    return sum(
        one.count_at_value_iterated_to for one in histogram.get_recorded_iterator() if one.value_iterated_to > limit_us
    )


def curve(histogram: HdrHistogram) -> list[tuple[float, float]]:
    """(share in percent, milliseconds): the distribution by percentile, finer towards the end."""
    return [
        (one.percentile_level_iterated_to, one.value_iterated_to / 1000)
        for one in histogram.get_percentile_iterator(5)
        if one.percentile_level_iterated_to < 100
    ]


def figures_of(histogram: HdrHistogram) -> dict[str, float]:
    """In milliseconds, by name."""
    if not histogram.get_total_count():
        return {}
    named = {f"p{level:g}": histogram.get_value_at_percentile(level) / 1000 for level in PERCENTILES}
    named["max"] = histogram.get_max_value() / 1000
    return {name: round(value, 2) for name, value in named.items()}


@dataclass
class Latencies:
    """By name of the action. `begin_s` and `end_s` are the steady window."""

    begin_s: float
    end_s: float
    _histograms: dict[str, HdrHistogram] = field(default_factory=lambda: defaultdict(new_histogram))
    _failures: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _recent: dict[int, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    _series: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))

    def record(self, action: str, due_s: float, now_s: float) -> None:
        """It was done now, and due then."""
        took_ms = max((now_s - due_s) * 1000, 0.0)
        self._recent[int((now_s - self.begin_s) // INTERVAL_S)][action].append(took_ms)
        if self.begin_s <= due_s < self.end_s:
            self._histograms[action].record_value(min(max(round(took_ms * 1000), LEAST_US), MOST_US))

    def fail(self, action: str, due_s: float, reason: str) -> None:
        """It was due then, and was not done."""
        if self.begin_s <= due_s < self.end_s:
            self._failures[action][reason] += 1

    def close_intervals(self, now_s: float) -> dict[str, float]:
        """Takes the intervals that are over into the series. Gives the last one's 99th percentiles, by action."""
        last: dict[str, float] = {}
        for number in sorted(number for number in self._recent if (number + 1) * INTERVAL_S <= now_s - self.begin_s):
            at_s = (number + 1) * INTERVAL_S
            for action, values in self._recent.pop(number).items():
                row = [round(percentile(values, share), 2) for share in (0.5, 0.95, 0.99, 1.0)]
                self._series[action].append([round(at_s, 1), *row, len(values)])
                last[action] = row[2]
        return last

    def as_dict(self, now_s: float) -> dict[str, Any]:
        """By action: `count`, `failed` with reasons, percentiles, the histogram, and the series over time."""
        self.close_intervals(now_s + INTERVAL_S)
        names = sorted({*self._histograms, *self._failures})
        return {
            name: {
                "count": self._histograms[name].get_total_count(),
                "failed": sum(self._failures[name].values()),
                "reasons": dict(self._failures[name]),
                "ms": figures_of(self._histograms[name]),
                "hdr": to_text(self._histograms[name]),
                # [seconds since the steady window began, p50, p95, p99, greatest, how many]
                "series": self._series.get(name, []),
            }
            for name in names
        }


def merge(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Several generators' actions as one. Series are put one beside another, the largest value of each interval."""
    merged: dict[str, Any] = {}
    for part in parts:
        for name, action in part.items():
            merged[name] = _add(merged[name], action) if name in merged else dict(action)
    return merged


def _add(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    histogram = from_text(one["hdr"])
    histogram.add(from_text(other["hdr"]))
    reasons = Counter(one["reasons"]) + Counter(other["reasons"])
    rows = {row[0]: row for row in one["series"]}
    for row in other["series"]:
        known = rows.get(row[0])
        rows[row[0]] = row if known is None else [row[0], *map(max, known[1:5], row[1:5]), known[5] + row[5]]
    return {
        "count": histogram.get_total_count(),
        "failed": sum(reasons.values()),
        "reasons": dict(reasons),
        "ms": figures_of(histogram),
        "hdr": to_text(histogram),
        "series": [rows[at] for at in sorted(rows)],
    }
