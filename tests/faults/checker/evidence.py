"""What the rounds of a soak have shown, how much of its goal they are, and the table of it. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Round:
    """One run of the checker. `seconds`: of the whole round, with beginning and end. `faults`: how often each was done.
    `broken`: how often each promise was. `load`: the one-minute average at its end."""

    seed: str
    date: str
    commit: str
    towns: int
    seconds: float
    messages: int
    operations: int
    unknown: int
    calls: int
    faults: Mapping[str, int]
    broken: Mapping[str, int]
    load: float = 0.0

    def to_line(self) -> str:
        """As a line of the evidence."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of_line(cls, line: str) -> Self:
        """What `to_line` wrote. Raises ValueError or TypeError for anything else."""
        return cls(**json.loads(line))

    @classmethod
    def of_report(cls, report: Mapping[str, Any], **about: Any) -> Self:
        """Of the first line that a run reports (run.py); `about` is the rest. Raises KeyError."""
        return cls(
            seed=report["seed"],
            messages=report["acknowledged_messages"],
            operations=report["operations"],
            unknown=report["unknown"],
            calls=report["calls"],
            faults=report["faults"],
            broken=report["broken"],
            **about,
        )


@dataclass(frozen=True)
class Goal:
    """What the rounds are to have had together."""

    faults: int
    messages: int

    def is_reached(self, rounds: Sequence[Round]) -> bool:
        """Whether they have had all of it."""
        return faults_of(rounds).total() >= self.faults and sum(one.messages for one in rounds) >= self.messages

    def seconds_left(self, rounds: Sequence[Round]) -> float:
        """How long it takes at the pace of the rounds so far; 0.0 where there is no pace yet."""
        had_s = sum(one.seconds for one in rounds)
        shares = (
            faults_of(rounds).total() / max(self.faults, 1),
            sum(one.messages for one in rounds) / max(self.messages, 1),
        )
        least = min(shares)
        return had_s * max(0.0, 1.0 - least) / least if least else 0.0


def faults_of(rounds: Iterable[Round]) -> Counter[str]:
    """How often each fault was done."""
    return sum((Counter(one.faults) for one in rounds), Counter())


def broken_of(rounds: Iterable[Round]) -> Counter[str]:
    """How often each promise was broken."""
    return sum((Counter(one.broken) for one in rounds), Counter())


def progress(rounds: Sequence[Round], goal: Goal) -> str:
    """A line about where the soak stands."""
    done = f"{faults_of(rounds).total():,} of {goal.faults:,} faults"
    said = f"{sum(one.messages for one in rounds):,} of {goal.messages:,} messages"
    found = ", ".join(f"{promise} ({count})" for promise, count in broken_of(rounds).items()) or "nothing found"
    left = goal.seconds_left(rounds)
    return f"{len(rounds)} rounds, {done}, {said}; {found}" + (f"; about {left / 60:.0f} min left" if left else "")


def table(rounds: Sequence[Round]) -> str:
    """Markdown, as docs/benchmarks/checker.md has it: all together, then each fault, then the rounds with a find."""
    if not rounds:
        return "No rounds yet.\n"
    hours = sum(one.seconds for one in rounds) / 3600
    commits = sorted({one.commit for one in rounds})
    loads = [one.load for one in rounds]
    lines = [
        f"{rounds[0].date[:10]} to {rounds[-1].date[:10]}, commit {', '.join(commits)}, {len(rounds)} rounds,"
        f" {hours:.1f} h, load {min(loads):.0f} to {max(loads):.0f}.",
        "",
        "| | |",
        "|---|---|",
        f"| faults | {faults_of(rounds).total():,} |",
        f"| acknowledged messages | {sum(one.messages for one in rounds):,} |",
        f"| requests | {sum(one.operations for one in rounds):,} |",
        f"| of them without an answer that says what was done | {sum(one.unknown for one in rounds):,} |",
        f"| calls | {sum(one.calls for one in rounds):,} |",
        f"| broken promises | {broken_of(rounds).total():,} |",
        "",
        "| fault | done |",
        "|---|---|",
        *(f"| `{name}` | {count:,} |" for name, count in sorted(faults_of(rounds).items())),
    ]
    if found := [one for one in rounds if one.broken]:
        lines += ["", "| seed | broken promises, and how often |", "|---|---|"]
        lines += [f"| {one.seed} | {', '.join(f'{name} ({n})' for name, n in one.broken.items())} |" for one in found]
    return "\n".join(lines) + "\n"
