"""`make drill-backup`, `drill-broker-lost`, `drill-region-lost`: what is lost with a whole part, and when it goes on.

Each runs on stacks of its own. Progress goes to stderr; the last line of stdout is one JSON object. Exit 1 when what
must hold does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc

from deploy.embedded.errors import StackError
from deploy.embedded.record import ROOT
from loadtests.disasters.scenes import Report, back_up, lose_broker, lose_region
from loadtests.headless.media import MediaLostError
from loadtests.headless.waiting import DeadlineMissedError
from loadtests.scenario import run as run_scenario

DRILLS: dict[str, Callable[[Path, Report], Awaitable[None]]] = {
    "backup": back_up,
    "broker-lost": lose_broker,
    "region-lost": lose_region,
}


async def main(name: str) -> int:
    """Returns the exit status."""
    report = Report(name)
    parent = ROOT / ".parley"
    await asyncio.to_thread(parent.mkdir, exist_ok=True)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"drill-{name}-", dir=parent))
    began_s = time.monotonic()
    try:
        await DRILLS[name](folder, report)
    except (StackError, DeadlineMissedError, MediaLostError, OSError, grpc.aio.AioRpcError) as error:
        report.errors.append(f"{type(error).__name__}: {error}"[:500])
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    for missing in report.errors:
        report.say(f"missing: {missing}")
    print(json.dumps({**report.as_dict(), "seconds": round(time.monotonic() - began_s, 1)}), flush=True)
    return 1 if report.errors else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m loadtests.drills", description=__doc__)
    parser.add_argument("drill", choices=sorted(DRILLS))
    run_scenario(lambda: main(parser.parse_args().drill))
