"""A service on a host of its own kind: with a clock that can be set, and with one of `bugs.BUGS` in it, if asked.

`python -m tests.faults.checker.hosted messaging` runs `services.messaging` so. A process whose id is the name of a file
in the folder PARLEY_FAULT_CLOCKS has a wall clock that is as many seconds ahead as the file says.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from services.runtime.clock import SystemClock
from tests.faults.checker.bugs import BUGS

CLOCKS = "PARLEY_FAULT_CLOCKS"
BUG = "PARLEY_SEEDED_BUG"


def main(service: str) -> None:
    """Runs the service as it would run, but for its host."""
    if folder := os.environ.get(CLOCKS):
        _set_by(Path(folder) / str(os.getpid()))
    bug = BUGS.get(os.environ.get(BUG, ""))
    if bug is not None and bug.service == service:
        bug.seed()
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


def _set_by(file: Path) -> None:
    honest = SystemClock.now

    def now(self: Any) -> datetime:
        ahead_s = 0.0
        with suppress(OSError, ValueError):
            ahead_s = float(file.read_text())
        return honest(self) + timedelta(seconds=ahead_s)

    SystemClock.now = now  # type: ignore[method-assign]


if __name__ == "__main__":
    main(sys.argv[1])
