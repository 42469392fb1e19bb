"""Runs a command of `services.ops` as an operator's shell does."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from deploy.embedded.record import ROOT


async def run_ops(env: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, output and complaints, without the white space around them. `env`: beside what this process has."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "services.ops", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **env}, cwd=ROOT, stdout=pipe, stderr=pipe
    )
    output, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode().strip(), complaints.decode().strip()
