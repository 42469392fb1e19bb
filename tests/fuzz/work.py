"""Counted work: how many lines of Python one input costs. A count, unlike a time, is the same on every machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

# For an input of n bytes, unless a target says otherwise. Raising them lets a costlier input pass; lowering them
# fails on honest ones.
LINES = 4_000
LINES_PER_BYTE = 150


class TooMuchWork(AssertionError):
    """An input costs more than its size allows."""


class _Count:
    def __init__(self, most: int) -> None:
        self.lines = 0
        self._most = most

    def __call__(self, _frame: FrameType, event: str, _arg: Any) -> _Count:
        if event == "line":
            self.lines += 1
            if self.lines > self._most:
                raise TooMuchWork(f"more than {self._most} lines of Python")
        return self


def counted(
    fuzz: Callable[[bytes], None], data: bytes, lines: int = LINES, lines_per_byte: int = LINES_PER_BYTE
) -> int:
    """Runs the target; gives the lines that it took. Raises TooMuchWork, and what the target raises."""
    count = _Count(lines + lines_per_byte * len(data))
    before = sys.gettrace()
    sys.settrace(count)
    try:
        fuzz(data)
    finally:
        sys.settrace(before)
    return count.lines
