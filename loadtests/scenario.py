"""How every scenario begins and ends: the exit status, what stops it, and its report."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn


def run(main: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run it and exit with its status; with 130 when it was told to stop, after it has cleared up behind itself."""
    try:
        sys.exit(asyncio.run(_until_told_to_stop(main)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr, flush=True)
        sys.exit(130)


def write_report(path: Path, scenario: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Write the figures as JSON, beside what tells how they came about, which figures of the same name replace."""
    report = {
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "command": " ".join((f"python -m loadtests.{scenario}", *sys.argv[1:])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **figures,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    return report


async def _until_told_to_stop(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    task = asyncio.ensure_future(main())
    # Without this the stack's processes and data would stay behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task
