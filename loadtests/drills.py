"""`make drill-backup`, `drill-broker-lost`, `drill-region-lost`: what is lost with a whole part, and when it goes on.

Each runs on stacks of its own. Progress goes to stderr; the last line of stdout is one JSON object. Exit 1 when what
must hold does not.

`--bare` takes the drill's protection away first, so that one sees that the drill would find it missing: it must fail.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncpg
import grpc

from deploy.embedded.errors import StackError
from deploy.embedded.record import ROOT
from loadtests.disasters.judging import Report
from loadtests.disasters.scenarios import back_up, lose_broker, lose_region
from loadtests.scenario import run as run_scenario
from parley_client.media import MediaLostError
from parley_client.waiting import DeadlineMissedError


class Scenario(Protocol):
    """What is destroyed, and looked at then; `bare` without what protects from it."""

    def __call__(self, folder: Path, report: Report, *, bare: bool) -> Awaitable[None]: ...


@dataclass(frozen=True)
class Drill:
    """`protection`: what `--bare` takes away."""

    scenario: Scenario
    protection: str


DRILLS = {
    "backup": Drill(back_up, "the WAL that follows the base backup is archived"),
    "broker-lost": Drill(lose_broker, "events stand in the outbox until the broker has them"),
    "region-lost": Drill(lose_region, "the standby has a commit before it is acknowledged"),
}
_FOUND = (
    *(StackError, DeadlineMissedError, MediaLostError, OSError),
    *(grpc.aio.AioRpcError, asyncpg.PostgresError, asyncpg.InterfaceError),
)


async def main(name: str, *, bare: bool) -> int:
    """Returns the exit status."""
    drill, report = DRILLS[name], Report(name)
    if bare:
        report.figures["without"] = drill.protection
    parent = ROOT / ".parley"
    await asyncio.to_thread(parent.mkdir, exist_ok=True)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"drill-{name}-", dir=parent))
    began_s = time.monotonic()
    try:
        await drill.scenario(folder, report, bare=bare)
    except _FOUND as error:
        report.errors.append(f"{type(error).__name__}: {error}"[:500])
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    for fault in report.errors:
        report.say(f"missing: {fault}")
    print(json.dumps({**report.as_dict(), "seconds": round(time.monotonic() - began_s, 1)}), flush=True)
    return 1 if report.errors else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m loadtests.drills", description=__doc__)
    parser.add_argument("drill", choices=sorted(DRILLS))
    parser.add_argument("--bare", action="store_true", help="without what protects: the drill must fail then")
    arguments = parser.parse_args()
    run_scenario(lambda: main(arguments.drill, bare=arguments.bare))
