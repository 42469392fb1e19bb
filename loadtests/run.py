"""One front for all load tests: `python -m loadtests.run NAME`, with the options of what it runs.

Without a name it lists them. `all` runs one after the other, and says in the end which of them held.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from deploy.embedded.record import ROOT


@dataclass(frozen=True)
class Scenario:
    """`arguments` come before those of the user. `minutes`: about how long it takes, alone on two cores."""

    module: str
    what: str
    minutes: float
    arguments: tuple[str, ...] = ()


_EVENING = "loadtests.evening"
SCENARIOS = {
    "messages": Scenario("loadtests.messages", "latency at a pace, throughput, a group of 256", 4),
    "floors": Scenario("loadtests.floors", "what each hop of a message costs with nothing of ours in it", 2),
    "devices": Scenario("loadtests.devices", "10,000 idle devices: memory, and their return after a kill", 8),
    "routing": Scenario("loadtests.routing", "the same traffic over 1 to 8 replicas", 8),
    "call-setup": Scenario("loadtests.calls_setup", "calls until both sides hear each other", 2),
    "voice": Scenario("loadtests.sfu", "voice calls through one media worker", 5, ("--only", "voice")),
    "group-video": Scenario("loadtests.sfu", "pictures from one to fifty", 5, ("--only", "fan_out")),
    "evening": Scenario(_EVENING, "half an hour of people who like people", 38),
    "reconnect-herd": Scenario(_EVENING, "all devices lose the edge at once", 3, ("reconnect-herd",)),
    "hot-group": Scenario(_EVENING, "256 members talk at once", 2, ("hot-group",)),
    "celebrity": Scenario(_EVENING, "a thousand watch one person's presence", 3, ("celebrity",)),
    "slow-consumers": Scenario(_EVENING, "devices that read nothing for a while", 3, ("slow-consumers",)),
    "flood": Scenario(_EVENING, "one user sends far beyond what is allowed", 3, ("flood",)),
}


def command_of(name: str, more: Sequence[str] = ()) -> list[str]:
    """What runs a scenario."""
    scenario = SCENARIOS[name]
    return [sys.executable, "-m", scenario.module, *scenario.arguments, *more]


def overview() -> str:
    """The scenarios, for reading."""
    lines = [f"  {name:<16}{one.what} ({one.minutes:g} min)" for name, one in SCENARIOS.items()]
    return "\n".join(["python -m loadtests.run NAME [options; --help tells them]", *lines, "  all"])


def run_all() -> int:
    """Each in turn. The worst of their exit statuses."""
    statuses = {}
    for name in SCENARIOS:
        print(f"== {name}", file=sys.stderr, flush=True)
        statuses[name] = subprocess.run(command_of(name), cwd=ROOT, check=False).returncode
    for name, status in statuses.items():
        print(f"{name:<16}{'held' if status == 0 else f'exit status {status}'}", file=sys.stderr)
    return max(statuses.values())


def become(name: str, more: Sequence[str]) -> NoReturn:
    """The scenario takes the place of this process: what stops it stops the scenario."""
    os.chdir(ROOT)
    command = command_of(name, more)
    os.execv(command[0], command)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status of all of them; one alone does not return."""
    if not arguments or arguments[0] not in (*SCENARIOS, "all"):
        print(overview(), file=sys.stderr)
        return 0 if not arguments or arguments[0] in ("-h", "--help") else 2
    name, *more = arguments
    if name != "all":
        become(name, more)
    if more:
        print("all takes no options: each scenario has its own", file=sys.stderr)
        return 2
    return run_all()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
