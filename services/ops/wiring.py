"""The command line."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from services.ops import core
from services.ops.clients import Fleet
from services.ops.config import STACK, Config
from services.runtime.auth import ServiceTokens
from services.runtime.clock import SystemClock
from services.runtime.config import ConfigError


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 1 when something did not answer, 2 for a setting to mend."""
    options = _parse(arguments)
    try:
        config = Config.from_env(os.environ) if options.stack is None else Config.from_stack(options.stack)
    except ConfigError as error:
        sys.stderr.writelines(f"ops: {problem}\n" for problem in error.problems)
        return 2
    lines = asyncio.run(_show(config, options.what, options.limit))
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if any("does not answer" in line for line in lines) else 0


async def _show(config: Config, what: str, limit: int) -> list[str]:
    fleet = Fleet(config.presence, config.gateways, ServiceTokens(config.service_key, "ops", SystemClock()))
    match what:
        case "partitions":
            return core.partitions(await fleet.replicas())
        case "sessions":
            return core.sessions(await fleet.gateways(), await fleet.replicas())
        case _:
            devices, unreachable = await fleet.slowest(limit)
            return core.slowest(devices, unreachable, limit)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.ops", description="Who is where, and who is slow.")
    parser.add_argument("what", choices=("sessions", "partitions", "slowest"))
    parser.add_argument("--limit", type=int, default=20, help="how many of the slowest devices (default 20)")
    default = STACK if "PARLEY_PRESENCE_ADDRESSES" not in os.environ else None
    parser.add_argument(
        "--stack",
        type=Path,
        default=default,
        help=f"the record of an embedded stack (default {STACK}, or the environment)",
    )
    return parser.parse_args(arguments)
