"""How the parts of a whole run ended: read from their JUnit reports, and told as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.support.figures import DRAWN
from tests.support.needs import LEFT_OUT

LONGEST = 15


@dataclass(frozen=True)
class Outcome:
    """How a part ended: `longest` has (seconds, test), `left_out` how many tests by the reason.

    `cpu_s`: of its process and of all that it started and waited for. `drawn`: what tests with a fresh seed say, so
    that it can be run again.
    """

    name: str
    status: int
    seconds: float
    cpu_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    longest: tuple[tuple[float, str], ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)
    drawn: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Failed tests; at least 1 when the process itself failed."""
        return max(self.counts["failed"], int(self.status != 0))


def read_outcome(name: str, report: Path, status: int, seconds: float, cpu_s: float = 0.0) -> Outcome:
    """What a part's report says. Without a report the process itself failed, and nothing is known of its tests."""
    try:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    except (FileNotFoundError, ElementTree.ParseError):
        return Outcome(name, status or 1, seconds, cpu_s)
    counts = Counter(map(_verdict, cases))
    times = sorted((float(case.get("time", 0)), f"{case.get('classname')}: {case.get('name')}") for case in cases)
    left_out = Counter(filter(None, map(_reason_left_out, cases)))
    drawn = (each.get("value", "") for case in cases for each in case.iter("property") if each.get("name") == DRAWN)
    return Outcome(name, status, seconds, cpu_s, counts, tuple(reversed(times[-LONGEST:])), left_out, tuple(drawn))


def _verdict(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def _reason_left_out(case: ElementTree.Element) -> str:
    """Why it was left out: skipped, or failed in CI. Empty for one that was not."""
    said = (each.get("message", "") for each in case)
    found = (message.partition(LEFT_OUT)[2].splitlines() for message in said)
    return next((lines[0].rstrip('"') for lines in found if lines), "")


def table(outcomes: Iterable[Outcome], left_out: Sequence[str]) -> str:
    """How it ended, for reading; the last line is the sum."""
    rows = list(outcomes)
    lines = [f"{'part':<18}{'passed':>8}{'failed':>8}{'skipped':>9}{'time':>8}{'CPU':>8}"]
    lines += [
        f"{row.name:<18}{row.counts['passed']:>8}{row.failed:>8}{row.counts['skipped']:>9}"
        f"{row.seconds:>6.0f} s{row.cpu_s:>6.0f} s"
        + (f"   ended with status {row.status} and no report" if row.status and not row.counts else "")
        for row in rows
    ]
    longest = sorted((each for row in rows for each in row.longest), reverse=True)[:LONGEST]
    lines += ["", "longest:", *(f"{seconds:>7.1f} s  {name}" for seconds, name in longest), ""]
    lines += [f"DRAWN: {each}" for row in rows for each in row.drawn]
    lines += [f"LEFT OUT: {reason}" for reason in left_out]
    passed, skipped = (sum(row.counts[name] for row in rows) for name in ("passed", "skipped"))
    lines.append(f"total: {passed} passed, {sum(row.failed for row in rows)} failed, {skipped} skipped")
    return "\n".join(lines)


def one_line(outcome: Outcome) -> str:
    """How it ended, as soon as it has."""
    counts = outcome.counts
    return f"{outcome.name}: {counts['passed']} passed, {outcome.failed} failed in {outcome.seconds:.0f} s"
