"""Load from a process of its own, so that what it costs is apart from what is measured."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from deploy.embedded.record import ROOT


class GeneratorError(Exception):
    """The generator's process ended without figures."""


async def figures_of(module: str, job: str) -> dict[str, Any]:
    """Runs the module as a program, which reads its job from standard input and prints its figures as JSON.

    It is killed with the caller. Raises GeneratorError.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        out, _ = await process.communicate(job.encode())
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise GeneratorError(f"{module} ended with status {process.returncode}")
    figures: dict[str, Any] = json.loads(out)
    return figures
