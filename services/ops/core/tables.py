"""Columns, and what could not be asked."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Unreachable:
    """A process that did not answer, and why."""

    name: str
    reason: str


def missing(found: Sequence[object]) -> list[str]:
    """A line for each process that did not answer."""
    names = {entry.name: entry.reason for entry in found if isinstance(entry, Unreachable)}
    return [f"{name} does not answer: {reason}" for name, reason in names.items()]


def ranges(numbers: Sequence[int]) -> str:
    """`0-3,7` for 0, 1, 2, 3 and 7."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts) or "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows below their head, each column as wide as its longest cell."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
