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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.embedded.record import ROOT
from parley_client.client import Edge
from tests.faults.checker import hosted
from tests.faults.checker.history import History
from tests.faults.checker.nemesis import CONTROL_PLANE, FAULTS, CheckedStack, Nemesis, draw
from tests.faults.checker.promises import Breach, breaches
from tests.faults.checker.shrinking import explain
from tests.faults.checker.town import SETTLE_S, Town, counts
from tests.support.stack import run_stack

FOLDER = ROOT / "build" / "faults"
REPLICAS = {"messaging": 2, "presence": 2, "gateway": 2}
SHOWN = 5


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


async def judge_run(
    stack: CheckedStack,
    seed: str,
    seconds: float,
    faults: tuple[str, ...],
    targets: Callable[[str], bool] = lambda _: True,
    patience_s: float = SETTLE_S,
) -> tuple[History, list[Breach]]:
    """The history of a run, and every promise that it breaks. `targets`: which processes faults are drawn for."""
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
    names = sorted(filter(targets, stack.running.record.pids))
    plan = draw(random.Random(chance.random()), names, faults)
    nemesis = Nemesis(stack, plan, clock)
    async with town.open():
        at("the town is there")
        end_s = clock() + seconds

        def is_over() -> bool:
            return clock() > end_s

        # The last fault may outlast the people: what it kept from a device must come without a later message.
        await asyncio.gather(town.live_on(is_over), nemesis.rage(is_over, at))
        at("all comes to rest")
        history, found = await town.settle(nemesis.faults, at, patience_s)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{seed}.json").write_text(history.dumps())
    return history, found


@contextmanager
def checked_stack(broker: str = "") -> Iterator[CheckedStack]:
    """The stack that runs are made on."""
    with tempfile.TemporaryDirectory(prefix="parley-faults-") as folder:
        env = {hosted.FOLDER: folder}
        if broker:
            env["PARLEY_BROKER"] = broker
        programs = {service: f"{hosted.__name__} {service}" for service in CONTROL_PLANE}
        with run_stack("checker", replicas=REPLICAS, env=env, programs=programs) as stack:
            yield CheckedStack(stack, Path(folder))


def report(history: History, found: list[Breach]) -> str:
    """What a run has shown, for a person."""
    lines = [json.dumps({"seed": history.seed, **counts(history), "breaches": len(found)})]
    lines += [explain(history, breach) for breach in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"and {len(found) - SHOWN} more")
    if found:
        lines.append(f"again: python -m tests.faults.checker.run --seed {history.seed}")
    return "\n".join(lines)


def main() -> int:
    """Exit status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.checker.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**9)))
    parser.add_argument("--faults", default=",".join(FAULTS), help="comma-separated; empty for none")
    parser.add_argument("--broker", default="", choices=("", "kafka", "tansu"))
    parser.add_argument("--judge", type=Path, help="a history to judge again, in place of a run")
    arguments = parser.parse_args()
    if arguments.judge is not None:
        history = History.loads(arguments.judge.read_text())
        found = breaches(history)
    else:
        say(f"seed {arguments.seed}")
        faults = tuple(filter(None, arguments.faults.split(",")))
        with checked_stack(arguments.broker) as stack:
            history, found = asyncio.run(judge_run(stack, arguments.seed, arguments.seconds, faults))
    print(report(history, found), flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
