"""Which load breaks each objective first: doubling until one breaks, then halving the distance. Pure.

A load is a number of people. Every run judges all objectives, so that their searches share runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Search:
    """`first`: where it begins. `most`: no load is above it. `most_runs`: it ends after so many, in any case.

    `closeness`: an objective's search ends when the load that breaks it is at most so many times the one it held at.
    """

    first: int
    most: int
    closeness: float = 1.15
    most_runs: int = 10
    # By load: whether each objective held; None where there was too little to say.
    runs: dict[int, Mapping[str, bool | None]] = field(default_factory=dict)

    def add(self, load: int, held: Mapping[str, bool | None]) -> None:
        """A run at this load."""
        self.runs[load] = held

    def next_load(self) -> int | None:
        """Where to run next; None when nothing more is to be found."""
        if len(self.runs) >= self.most_runs:
            return None
        if not self.runs:
            return self.first
        for name in self._names():
            between = self._between(*self.bounds(name))
            if between is not None:
                return between
        if any(self.bounds(name)[1] is not None for name in self._names()):
            return None
        load = min(2 * max(self.runs), self.most)
        return None if load in self.runs else load

    def bounds(self, name: str) -> tuple[int | None, int | None]:
        """The largest load at which the objective held, below the smallest one that broke it; either may be unknown."""
        broke = [load for load, held in self.runs.items() if held.get(name) is False]
        least = min(broke, default=None)
        held_at = [
            load for load, held in self.runs.items() if held.get(name) is not False and (least is None or load < least)
        ]
        return max(held_at, default=None), least

    def figures(self) -> dict[str, Any]:
        """By objective, the load that it `held_at` and the one that it `broke_at`; what broke first comes first."""
        found = {name: self.bounds(name) for name in self._names()}
        rows = sorted(found.items(), key=lambda row: (row[1][1] is None, row[1][1] or 0))
        all_held = [load for load, held in self.runs.items() if not any(verdict is False for verdict in held.values())]
        first_broken = min((broke for _, broke in found.values() if broke is not None), default=math.inf)
        return {
            "objectives": {name: {"held_at": held, "broke_at": broke} for name, (held, broke) in rows},
            "all_held_at": max((load for load in all_held if load < first_broken), default=None),
            "runs": len(self.runs),
        }

    def _names(self) -> list[str]:
        return sorted({name for held in self.runs.values() for name in held})

    def _between(self, held: int | None, broke: int | None) -> int | None:
        if broke is None or broke <= 1:
            return None
        if held is None:
            load = broke // 2
            return load if load >= 2 and load not in self.runs else None
        if broke / held <= self.closeness:
            return None
        load = round(math.sqrt(held * broke))
        return load if held < load < broke and load not in self.runs else None
