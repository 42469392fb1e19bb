"""One run: a stack, a town, a nemesis, and the verdict.

`python -m tests.faults.checker.run --seconds 60 --seed 7`. The seed is printed and replays what people do and what is
done to the stack, as far as time allows. The history stays in build/faults/SEED.json; `--judge FILE` judges one again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.embedded import apache_kafka
from deploy.embedded.record import ROOT
from parley_client.client import Edge
from tests.faults.checker import disks, hosted, networks
from tests.faults.checker.bugs import BUGS
from tests.faults.checker.history import History
from tests.faults.checker.nemesis import FAULTS, Having, Means, Nemesis, draw
from tests.faults.checker.processes import CONTROL_PLANE
from tests.faults.checker.promises import Breach, breaches
from tests.faults.checker.shrinking import explain
from tests.faults.checker.stacks import CheckedStack
from tests.faults.checker.town import Town, counts
from tests.support.stack import run_stack

MODULE = "tests.faults.checker.run"
FOLDER = ROOT / "build" / "faults"
REPLICAS = {"messaging": 2, "presence": 2, "gateway": 2}
SHOWN = 5


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


async def run(stack: CheckedStack, seed: str, seconds: float, faults: tuple[str, ...] = tuple(FAULTS)) -> History:
    """People live and the nemesis rages for so long; then all comes to rest. The history is kept in `FOLDER`."""
    history, _ = await judge_run(stack, seed, seconds, faults)
    return history


async def judge_run(
    stack: CheckedStack, seed: str, seconds: float, faults: tuple[str, ...]
) -> tuple[History, list[Breach]]:
    """The history of a run, and every promise that it breaks."""
    chance = random.Random(seed)
    began_s = time.monotonic()

    def clock() -> float:
        return time.monotonic() - began_s

    def at(text: str) -> None:
        say(f"{clock():7.1f} s  {text}")

    town = Town(
        Edge(stack.running.record.edge_address, stack.running.record.issuer_url),
        seed,
        random.Random(chance.random()),
        clock,
    )
    names = sorted(stack.running.record.pids)
    plan = draw(random.Random(chance.random()), names, faults, having(stack, names))
    nemesis = Nemesis(stack, plan, clock)
    async with town.open():
        at("the town is there")
        end_s = clock() + seconds

        def is_over() -> bool:
            return clock() > end_s

        # The last fault may outlast the people: what it kept from a device must come without a later message.
        await asyncio.gather(town.live_on(is_over), nemesis.rage(is_over, at))
        at("all comes to rest")
        history, found = await town.settle(nemesis.faults, at)
    if stack.network is not None and (half_open := stack.network.still_dead()):
        at(f"{len(half_open)} dead connections are still open on one side")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{seed}.json").write_text(history.dumps())
    return history, found


def having(stack: CheckedStack, names: Sequence[str]) -> Having:
    """What there is here of what faults take."""
    keeps_data = (stack.running.folder / "kafka").is_dir()
    return {
        Means.NETWORK: names if stack.network is not None else (),
        Means.DISK: [name for name in stack.disks if name != "broker" or keeps_data],
        Means.STORAGE: ["broker"] if keeps_data else [],
    }


def say_what_is_left_out(faults: Sequence[str]) -> None:
    """A line for what this machine has not, with the faults that take it."""
    lacking = {
        Means.NETWORK: networks.missing(),
        Means.DISK: disks.missing(),
        Means.STORAGE: apache_kafka.missing() and f"no {apache_kafka.missing()}",
    }
    for means, reason in lacking.items():
        if left_out := [name for name in faults if reason and FAULTS[name].takes is means]:
            say(f"left out: {', '.join(left_out)}; {reason}")


@contextmanager
def checked_stack(bug: str = "", broker: str = "", *, is_apart: bool = False) -> Iterator[CheckedStack]:
    """The stack that runs are made on, with one of `BUGS` where it is named. `is_apart`: in a network of its own."""
    with tempfile.TemporaryDirectory(prefix="parley-faults-") as name:
        folder = Path(name)
        # PostgreSQL, which is another user then, finds its disk there.
        folder.chmod(0o711)
        env = {hosted.CLOCKS: name, hosted.BUG: bug}
        if broker:
            env["PARLEY_BROKER"] = broker
        if is_apart:
            # Where nobody else gets to it, and its link can be cut.
            env["PARLEY_POSTGRES_HOST"] = "127.0.0.1"
        library = None if disks.missing() else disks.build_shim()
        of = {part: disks.Disk(folder / f"disk-{part}") for part in disks.TARGETS} if library else {}
        with run_stack(
            "checker",
            replicas=REPLICAS,
            env=env,
            programs={service: f"{hosted.__name__} {service}" for service in CONTROL_PLANE},
            part_env={part: disk.env(library) for part, disk in of.items()} if library else {},
        ) as stack:
            yield CheckedStack(stack, folder, networks.Network() if is_apart else None, of)


def report(history: History, found: list[Breach]) -> str:
    """What a run has shown, for a person."""
    lines = [json.dumps({"seed": history.seed, **counts(history), "breaches": len(found)})]
    lines += [explain(history, breach) for breach in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"and {len(found) - SHOWN} more")
    if found:
        lines.append(f"again: python -m {MODULE} --seed {history.seed}")
    return "\n".join(lines)


def main() -> int:
    """Exit status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**9)))
    parser.add_argument("--faults", default=",".join(FAULTS), help="comma-separated; empty for none")
    parser.add_argument("--bug", default="", choices=("", *BUGS), help="a bug in a service, which must be found")
    parser.add_argument("--broker", default="", choices=("", "kafka", "tansu"))
    parser.add_argument("--judge", type=Path, help="a history to judge again, in place of a run")
    arguments = parser.parse_args()
    if arguments.judge is not None:
        history = History.loads(arguments.judge.read_text())
        found = breaches(history)
    else:
        faults = tuple(filter(None, arguments.faults.split(",")))
        is_apart = networks.missing() is None and any(FAULTS[name].takes is Means.NETWORK for name in faults)
        if is_apart:
            networks.enter(MODULE, sys.argv[1:])
        say(f"seed {arguments.seed}")
        say_what_is_left_out(faults)
        with checked_stack(arguments.bug, arguments.broker, is_apart=is_apart) as stack:
            history, found = asyncio.run(judge_run(stack, arguments.seed, arguments.seconds, faults))
    print(report(history, found), flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
