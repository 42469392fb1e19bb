"""A service on a host of its own kind: with a clock that can be set, messages that vanish and notices that come
within a run, and with one of `bugs.BUGS` in it, if asked.

`python -m tests.faults.checker.hosted messaging` runs `services.messaging` so. In the folder PARLEY_FAULT_FOLDER, a
file with the name of a process's id says how many seconds ahead its wall clock is, and the file `bug` says which bug
the processes have that start from then on.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from services.messaging.vanishing import core
from services.push.core import effects
from services.runtime.clock import SystemClock
from tests.faults.checker.bugs import BUGS

FOLDER = "PARLEY_FAULT_FOLDER"
BUG = "bug"


def main(service: str) -> None:
    """Runs the service as it would run, but for its host."""
    folder = Path(os.environ[FOLDER])
    _set_by(folder / str(os.getpid()))
    # Else 5 minutes, longer than most runs.
    core.MIN_VANISH_AFTER = timedelta(seconds=1)
    # Else 10 s, since the people of the town are there: most would be read or overtaken by then.
    effects.ATTENDED_WAIT_S = 0.05
    if (chosen := folder / BUG).exists() and (bug := BUGS[chosen.read_text()]).service == service:
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
