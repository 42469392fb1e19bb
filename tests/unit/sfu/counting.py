"""How much work a call does, counted in lines of Python that run, so that no test depends on the machine.

A thousand lines take some 50 to 100 us uncompiled. What runs in C is not seen: what it costs must be bounded by size.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from services.sfu.core.errors import PacketError, SfuError

# A millisecond, on the machine of docs/benchmarks.
MOST_LINES = 10_000


def count_lines(act: Callable[[], object]) -> int:
    """The lines that `act` runs, what is refused included."""
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(PacketError, SfuError):
            act()
    finally:
        sys.settrace(before)
    return lines
