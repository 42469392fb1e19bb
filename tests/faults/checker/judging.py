"""A run on a stack: towns live, a nemesis rages, and what is left is judged."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from deploy.embedded import apache_kafka
from deploy.embedded.record import ROOT
from parley_client.client import Edge
from tests.faults.checker import disks, hosted, networks
from tests.faults.checker.history import History
from tests.faults.checker.hooks import Listener
from tests.faults.checker.nemesis import FAULTS, Having, Means, Nemesis, draw
from tests.faults.checker.processes import CONTROL_PLANE
from tests.faults.checker.promises import Breach
from tests.faults.checker.promises.people import ACCOUNT_CHECK_S
from tests.faults.checker.sleepers import Messenger
from tests.faults.checker.stacks import CheckedStack
from tests.faults.checker.town import SETTLE_S, Town
from tests.support.stack import run_stack

FOLDER = ROOT / "build" / "faults"
# What a process does in the first seconds of its life counts as the fault's. Raising it makes runs longer; lowering it
# misses what comes later than that.
CALM_S = 5.0
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
    listener = Listener(f"network-{secrets.token_hex(4)}", random.Random(chance.random()), clock)
    messenger = Messenger(random.Random(chance.random()), clock)
    forgets = not keeps_data(stack)
    towns = [
        Town(edge, seed, random.Random(chance.random()), clock, listener, messenger, broker_forgets=forgets)
        for seed in seeds
    ]
    names = sorted(filter(plan.may_hit, record.pids))
    drawn = draw(random.Random(chance.random()), names, plan.faults, having(stack, names))
    nemesis = Nemesis(stack, drawn, clock)
    async with AsyncExitStack() as open_towns:
        await open_towns.enter_async_context(listener.open(Path(record.webhooks_file)))
        await open_towns.enter_async_context(messenger.open(record.push_providers_file))
        for town in towns:
            await open_towns.enter_async_context(town.open())
        at("everybody is there")
        end_s = clock() + plan.seconds

        def is_over() -> bool:
            return clock() > end_s

        def is_calm() -> bool:
            return nemesis.has_ended and is_over() and clock() > nemesis.last_s + CALM_S

        # The last fault may outlast the people: what it kept from a device must come without a later message.
        await asyncio.gather(nemesis.rage(is_over, at), *(town.live_on(is_over, is_calm) for town in towns))
        at("all comes to rest")
        judged = [Judged(*await town.settle(nemesis.faults, at, plan.patience_s)) for town in towns]
    if stack.network is not None and (half_open := stack.network.still_dead()):
        at(f"{len(half_open)} dead connections are still open on one side")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for one in judged:
        (FOLDER / f"{one.history.seed}.json").write_text(one.history.dumps())
    return judged


def having(stack: CheckedStack, names: Sequence[str]) -> Having:
    """What there is here of what faults take, by the processes for which it is there."""
    is_kept = keeps_data(stack)
    return {
        Means.NETWORK: names if stack.network is not None else (),
        Means.DISK: [name for name in stack.disks if name != "broker" or is_kept],
        Means.STORAGE: ["broker"] if is_kept else [],
    }


def keeps_data(stack: CheckedStack) -> bool:
    """Whether the broker still has its records when it is started anew."""
    return (stack.running.folder / "kafka").is_dir()


def left_out(faults: Sequence[str]) -> Iterator[str]:
    """A line for each thing that this machine has not, with the faults that take it."""
    lacking = {
        Means.NETWORK: networks.missing(),
        Means.DISK: disks.missing(),
        Means.STORAGE: apache_kafka.missing() and f"no {apache_kafka.missing()}",
    }
    for means, reason in lacking.items():
        if names := [name for name in faults if reason and FAULTS[name].takes is means]:
            yield f"left out: {', '.join(names)}; {reason}"


@contextmanager
def checked_stack(broker: str = "", *, is_apart: bool = False) -> Iterator[CheckedStack]:
    """The stack that runs are made on. What its clients log stays in `FOLDER`.

    `is_apart`: this process is in a network of its own, and so will the stack be.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parley-faults-") as name, (FOLDER / "clients.log").open("w") as log:
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(log))
        folder = Path(name)
        # PostgreSQL, which is another user then, finds its disk there.
        folder.chmod(0o711)
        env = {
            hosted.FOLDER: name,
            "PARLEY_ACCOUNT_CHECK_S": str(ACCOUNT_CHECK_S),
            # What a killed process was sending waits for so long and 5 s more.
            "PARLEY_WEBHOOKS_TIMEOUT_S": "5",
            "PARLEY_PUSH_TIMEOUT_S": "5",
        }
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
            programs={service: f"{hosted.__name__} {service}" for service in (*CONTROL_PLANE, "webhooks", "push")},
            part_env={part: disk.env(library) for part, disk in of.items()} if library else {},
            on_disk=True,
        ) as stack:
            yield CheckedStack(stack, folder, networks.Network() if is_apart else None, of)
