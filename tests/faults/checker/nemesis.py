"""What is done to the stack: drawn from a seed, then carried out.

Drawing is pure. A fault is a row in `FAULTS`: a new one is a row and a function. Each leaves the stack as it was, or
brings it back.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.faults.checker import disks, networks, processes
from tests.faults.checker.history import Fault
from tests.faults.checker.processes import CONTROL_PLANE, PAUSE_S, REST_S
from tests.faults.checker.stacks import CheckedStack, Planned

Targets = Callable[[Sequence[str]], Sequence[str]]


class Means(StrEnum):
    """What a fault takes beside the processes."""

    NETWORK = "a network of its own"
    DISK = "a disk that can be slowed and filled"
    STORAGE = "a broker that keeps its data"


@dataclass(frozen=True)
class Kind:
    """What a fault may hit, what it takes, and how it is done. `act` returns when the stack runs again as before."""

    targets: Targets
    act: Callable[[CheckedStack, Planned], Awaitable[None]]
    takes: Means | None = None
    lasts_s: tuple[float, float] = PAUSE_S


# By what a fault may take, the processes for which that is to be had.
Having = Mapping[Means, Collection[str]]


def targets_of(fault: str, names: Sequence[str], having: Having) -> Sequence[str]:
    """What a fault may hit here. `names`: of the processes."""
    kind = FAULTS[fault]
    able = names if kind.takes is None else having.get(kind.takes, ())
    return [name for name in kind.targets(names) if name in able]


def draw(random: Random, names: Sequence[str], allowed: Sequence[str], having: Having) -> Iterator[Planned]:
    """Faults without end, none when none is possible. `names`: of the processes; `allowed`: the faults to draw from.

    Each comes once before any comes again, so that a short run does many different things.
    """
    while possible := [name for name in allowed if targets_of(name, names, having)]:
        for name in random.sample(possible, len(possible)):
            target = random.choice(targets_of(name, names, having))
            yield Planned(name, target, random.uniform(*REST_S), random.uniform(*FAULTS[name].lasts_s))


def _of(*services: str) -> Targets:
    return lambda names: [name for name in names if name.split("-")[0] in services]


def _all(names: Sequence[str]) -> Sequence[str]:
    # Without the issuer nobody logs in, which is the network's affair; objects and web have no part in what is asked.
    return [name for name in names if name not in ("issuer", "objects", "web")]


SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "sfu")
_NETWORK, _LINK_S = Means.NETWORK, networks.LINK_S
FAULTS: Mapping[str, Kind] = {
    "kill": Kind(_all, processes.kill),
    "kill twice": Kind(_of(*CONTROL_PLANE), processes.kill_twice),
    "pause": Kind(_all, processes.pause),
    "restart": Kind(_of(*SERVICES, "edge", "broker", "postgres"), processes.restart),
    "roll": Kind(_of(*CONTROL_PLANE), processes.roll),
    "step the clock": Kind(_of(*CONTROL_PLANE), processes.step_clock),
    "fail over": Kind(_of("postgres"), processes.fail_over),
    "lose the control plane": Kind(_of("messaging"), processes.lose_control_plane),
    "lose the data": Kind(_of("broker"), processes.lose_data, Means.STORAGE),
    "cut": Kind(_all, networks.cut, _NETWORK, _LINK_S),
    "cut towards": Kind(_all, networks.cut_towards, _NETWORK, _LINK_S),
    "cut back": Kind(_all, networks.cut_back, _NETWORK, _LINK_S),
    "dead connections": Kind(_all, networks.let_connections_die, _NETWORK, _LINK_S),
    "lossy link": Kind(_all, networks.lose_packets, _NETWORK, _LINK_S),
    "slow link": Kind(_all, networks.slow_down, _NETWORK, _LINK_S),
    "slow disk": Kind(_of(*disks.TARGETS), disks.slow_down, Means.DISK),
    "full disk": Kind(_of(*disks.TARGETS), disks.fill, Means.DISK),
}


class Nemesis:
    """Carries out what was drawn, one fault after the other, and notes it. `clock`: seconds since the run began."""

    def __init__(self, stack: CheckedStack, plan: Iterator[Planned], clock: Callable[[], float]) -> None:
        self.faults: list[Fault] = []
        self.has_ended = False
        self._stack = stack
        self._plan = plan
        self._clock = clock

    async def rage(self, is_over: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Until it is over; the last fault is brought to its end, which may be later."""
        await self._rage(is_over, say)
        self.has_ended = True

    @property
    def last_s(self) -> float:
        """When the last fault came to its end; below all times when there was none."""
        return self.faults[-1].ended_s if self.faults else -math.inf

    async def _rage(self, is_over: Callable[[], bool], say: Callable[[str], None]) -> None:
        for planned in self._plan:
            if is_over():
                return
            await asyncio.sleep(planned.rest_s)
            say(f"{planned.name} {planned.target}")
            began_s = self._clock()
            await FAULTS[planned.name].act(self._stack, planned)
            self.faults.append(Fault(planned.name, planned.target, began_s, self._clock()))
