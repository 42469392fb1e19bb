"""Another server, measured in turn with ours by a program of its own.

The program is named by the environment (`variable`), since what it installs and starts is no part of Parley. It
measures once, and prints a JSON object a line, of which two count: the phase `paced50` (50 messages a second, open
loop) with `deliver_ms` (p50, p95, p99, ... from when a message was due) and one whose name begins with `sat` (closed
loop) with `per_s`. Both have `cpu_s_per_1000`, whole processes by name; that of `client` is the program's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.message_path.figures import CLIENT, HOOK, median

_SHARES = ("p50", "p95", "p99")


class PeerError(Exception):
    """It is not named here, or ended without figures."""


def variable(name: str) -> str:
    """Of the environment: the command that measures this peer."""
    return f"PARLEY_PEER_{name.upper()}"


async def measure(name: str) -> dict[str, Any]:
    """One round of it, as `read` gives it. Raises PeerError."""
    command = os.environ.get(variable(name))
    if not command:
        raise PeerError(f"{variable(name)} does not say which command measures {name}")
    process = await asyncio.create_subprocess_exec(*shlex.split(command), stdout=asyncio.subprocess.PIPE)
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            # It stops what it has started.
            process.terminate()
            await process.wait()
    if process.returncode != 0:
        raise PeerError(f"what measures {name} ended with status {process.returncode}")
    return read(out.decode().splitlines())


def read(lines: Iterable[str]) -> dict[str, Any]:
    """The figures that stand in its lines, by the names that ours have. Raises PeerError."""
    try:
        phases = {phase["phase"]: phase for phase in map(json.loads, filter(str.strip, lines))}
        paced = phases["paced50"]
        saturated = next(phase for name, phase in phases.items() if name.startswith("sat"))
        return {
            "send_to_deliver_ms": dict(zip(_SHARES, paced["deliver_ms"], strict=False)),
            "throughput": saturated["per_s"],
            "paced_cpu_s_per_1000": paced["cpu_s_per_1000"],
            "cpu_s_per_1000": saturated["cpu_s_per_1000"],
        }
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise PeerError(f"its lines have no figures: {error!r}") from error


def compare(name: str, ours: Sequence[Mapping[str, Any]], its: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The medians of its rounds, and how many times as much ours are; of CPU, that of all servers together."""
    us, it = ({figure: median([one[figure] for one in rounds]) for figure in its[0]} for rounds in (ours, its))
    latencies = {share: us["send_to_deliver_ms"][share] / value for share, value in it["send_to_deliver_ms"].items()}
    servers = {figure: _servers(us[figure]) / _servers(it[figure]) for figure in it if figure.endswith("per_1000")}
    ratios = {**latencies, "throughput": us["throughput"] / it["throughput"], **servers}
    return {"name": name, **it, "ours_to_it": {key: round(ratio, 2) for key, ratio in ratios.items()}}


def _servers(cpu_s: Mapping[str, float]) -> float:
    return sum(seconds for process, seconds in cpu_s.items() if process not in (CLIENT, HOOK))
