"""A run on a stack: towns live, a nemesis rages, and what is left is judged."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from deploy.embedded.record import ROOT
from parley_client.client import Edge
from tests.faults.checker import hosted
from tests.faults.checker.history import History
from tests.faults.checker.nemesis import CONTROL_PLANE, FAULTS, CheckedStack, Nemesis, draw
from tests.faults.checker.promises import Breach
from tests.faults.checker.town import SETTLE_S, Town
from tests.support.stack import run_stack

FOLDER = ROOT / "build" / "faults"
REPLICAS = {"messaging": 2, "presence": 2, "gateway": 2}


@dataclass(frozen=True)
class Plan:
    """What is done in a run. `seed` draws what people do and which of `faults` hit which process that `may_hit` allows.

    `towns`: how many live at once. `patience_s`: how long nothing may get better, once all is quiet, until what is
    missing counts as lost.
    """

    seed: str
    seconds: float
    faults: Sequence[str] = tuple(FAULTS)
    towns: int = 1
    may_hit: Callable[[str], bool] = lambda _: True
    patience_s: float = SETTLE_S


@dataclass(frozen=True)
class Judged:
    """The history of one town, and every promise that it breaks."""

    history: History
    breaches: Sequence[Breach]


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


async def judge_run(stack: CheckedStack, plan: Plan) -> list[Judged]:
    """One run. The history of each town stays in `FOLDER`."""
    chance = random.Random(plan.seed)
    began_s = time.monotonic()

    def clock() -> float:
        return time.monotonic() - began_s

    def at(text: str) -> None:
        say(f"{clock():7.1f} s  {text}")

    record = stack.running.record
    edge = Edge(record.edge_address, record.issuer_url)
    seeds = [plan.seed, *(f"{plan.seed}-{number}" for number in range(2, plan.towns + 1))]
    towns = [Town(edge, seed, random.Random(chance.random()), clock) for seed in seeds]
    names = sorted(filter(plan.may_hit, record.pids))
    nemesis = Nemesis(stack, draw(random.Random(chance.random()), names, plan.faults), clock)
    async with AsyncExitStack() as open_towns:
        for town in towns:
            await open_towns.enter_async_context(town.open())
        at("everybody is there")
        end_s = clock() + plan.seconds

        def is_over() -> bool:
            return clock() > end_s

        # The last fault may outlast the people: what it kept from a device must come without a later message.
        await asyncio.gather(nemesis.rage(is_over, at), *(town.live_on(is_over) for town in towns))
        at("all comes to rest")
        judged = [Judged(*await town.settle(nemesis.faults, at, plan.patience_s)) for town in towns]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for one in judged:
        (FOLDER / f"{one.history.seed}.json").write_text(one.history.dumps())
    return judged


@contextmanager
def checked_stack(broker: str = "") -> Iterator[CheckedStack]:
    """The stack that runs are made on. What its clients log stays in `FOLDER`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parley-faults-") as folder, (FOLDER / "clients.log").open("w") as log:
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(log))
        env = {hosted.FOLDER: folder}
        if broker:
            env["PARLEY_BROKER"] = broker
        programs = {service: f"{hosted.__name__} {service}" for service in CONTROL_PLANE}
        with run_stack("checker", replicas=REPLICAS, env=env, programs=programs) as stack:
            yield CheckedStack(stack, Path(folder))
