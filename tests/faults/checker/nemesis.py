"""What is done to the stack: drawn from a seed, then carried out.

Drawing is pure. A fault is a row in `FAULTS`: a new one is a row and a function. Each leaves the stack as it was, or
brings it back.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from deploy.embedded.logs import LogSink
from loadtests.disasters.postgres import Server, become_primary
from tests.faults.checker.history import Fault
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S

# From the end of one fault to the beginning of the next, in seconds.
REST_S = (1.0, 5.0)
PAUSE_S = (0.5, 8.0)


@dataclass(frozen=True)
class CheckedStack:
    """A stack whose services have clocks that can be set: see `hosted.py`, also for the folder."""

    running: RunningStack
    folder: Path

    @property
    def pids(self) -> Mapping[str, int]:
        """Of the processes, as they run now."""
        return self.running.record.pids

    async def end(self, name: str, how: signal.Signals) -> None:
        """Ends one process, and waits until it runs again."""
        old_pid = self.running.kill(name, how)
        await asyncio.to_thread(self.running.wait_for_restart, name, old_pid, PATIENCE_S)


@dataclass(frozen=True)
class Planned:
    """A fault to come: `rest_s` after the one before, for `lasts_s` where its length is not its own."""

    name: str
    target: str
    rest_s: float
    lasts_s: float


Targets = Callable[[Sequence[str]], Sequence[str]]


def draw(random: Random, names: Sequence[str], allowed: Sequence[str]) -> Iterator[Planned]:
    """Faults without end, none when none is possible. `names`: of the processes; `allowed`: the faults to draw from.

    Each comes once before any comes again, so that a short run does many different things.
    """
    while possible := [name for name in allowed if FAULTS[name].targets(names)]:
        for name in random.sample(possible, len(possible)):
            target = random.choice(FAULTS[name].targets(names))
            yield Planned(name, target, random.uniform(*REST_S), random.uniform(*PAUSE_S))


def _of(*services: str) -> Targets:
    return lambda names: [name for name in names if name.split("-")[0] in services]


def _all(names: Sequence[str]) -> Sequence[str]:
    # Without the issuer nobody logs in, which is the network's affair; objects and web have no part in what is asked.
    return [name for name in names if name not in ("issuer", "objects", "web")]


@dataclass(frozen=True)
class Kind:
    """What a fault may hit, and how it is done. `act` returns when the stack runs again as before."""

    targets: Targets
    act: Callable[[CheckedStack, Planned], Awaitable[None]]


async def _kill(stack: CheckedStack, planned: Planned) -> None:
    """kill -9: it is started anew. The small broker comes back empty."""
    await stack.end(planned.target, signal.SIGKILL)


async def _restart(stack: CheckedStack, planned: Planned) -> None:
    """It is asked to end, drains, and is started anew."""
    await stack.end(planned.target, signal.SIGINT if planned.target == "postgres" else signal.SIGTERM)


async def _kill_twice(stack: CheckedStack, planned: Planned) -> None:
    """And once more as soon as it is back."""
    await stack.end(planned.target, signal.SIGKILL)
    await stack.end(planned.target, signal.SIGKILL)


async def _pause(stack: CheckedStack, planned: Planned) -> None:
    """It stands still with all its children: it neither answers nor ends."""
    stopped: list[int] = []
    try:
        for pid in _with_children(stack.pids[planned.target]):
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)
        await asyncio.sleep(planned.lasts_s)
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


async def _roll(stack: CheckedStack, planned: Planned) -> None:
    """A rolling update: all replicas of a service are replaced, one after the other."""
    service = planned.target.split("-")[0]
    for name in sorted(stack.pids):
        if name.split("-")[0] == service:
            await stack.end(name, signal.SIGTERM)


async def _lose_control_plane(stack: CheckedStack, _: Planned) -> None:
    """Everything but the media and the database is killed at once."""
    names = [name for name in stack.pids if name.split("-")[0] in CONTROL_PLANE]
    old_pids = {name: stack.running.kill(name) for name in names}
    for name, pid in old_pids.items():
        await asyncio.to_thread(stack.running.wait_for_restart, name, pid, PATIENCE_S)


async def _step_clock(stack: CheckedStack, planned: Planned) -> None:
    """The host's wall clock is an hour ahead, or behind, for a while."""
    file = stack.folder / str(stack.pids[planned.target])
    hours = 1 if planned.rest_s > sum(REST_S) / 2 else -1
    file.write_text(str(3600 * hours))
    await asyncio.sleep(planned.lasts_s)
    file.unlink()


async def _fail_over(stack: CheckedStack, planned: Planned) -> None:
    """A standby that has every commit takes over from a PostgreSQL that stands still and never comes back."""
    home = stack.running.folder / "postgres"
    standby = stack.running.folder / f"standby-{planned.rest_s:.6f}"
    sink = LogSink(standby / "logs", None)
    server = Server(stack.running.folder)
    await server.copy_to(standby / "data", "--write-recovery-conf", "--wal-method=stream")
    old_pid = stack.pids["postgres"]
    async with server.standby(standby, sink):
        await server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        await asyncio.sleep(planned.lasts_s)
        for pid in _with_children(old_pid):
            os.kill(pid, signal.SIGSTOP)
    sink.close()
    await asyncio.to_thread(become_primary, standby / "data")
    (home / "data").rename(home / f"lost-to-{standby.name}")
    (standby / "data").rename(home / "data")
    # Its children die with the process group, which the supervisor sweeps.
    os.kill(old_pid, signal.SIGKILL)
    await asyncio.to_thread(stack.running.wait_for_restart, "postgres", old_pid, PATIENCE_S)


SERVICES = ("messaging", "presence", "gateway", "signaling", "sfu")
CONTROL_PLANE = ("messaging", "presence", "gateway", "signaling")
FAULTS: Mapping[str, Kind] = {
    "kill": Kind(_all, _kill),
    "kill twice": Kind(_of(*CONTROL_PLANE), _kill_twice),
    "pause": Kind(_all, _pause),
    "restart": Kind(_of(*SERVICES, "edge", "broker", "postgres"), _restart),
    "roll": Kind(_of(*CONTROL_PLANE), _roll),
    "step the clock": Kind(_of(*CONTROL_PLANE), _step_clock),
    "fail over": Kind(_of("postgres"), _fail_over),
    "lose the control plane": Kind(_of("messaging"), _lose_control_plane),
}


class Nemesis:
    """Carries out what was drawn, one fault after the other, and notes it. `clock`: seconds since the run began."""

    def __init__(self, stack: CheckedStack, plan: Iterator[Planned], clock: Callable[[], float]) -> None:
        self.faults: list[Fault] = []
        self._stack = stack
        self._plan = plan
        self._clock = clock

    async def rage(self, is_over: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Until it is over; the last fault is brought to its end, which may be later."""
        for planned in self._plan:
            if is_over():
                return
            await asyncio.sleep(planned.rest_s)
            say(f"{planned.name} {planned.target}")
            began_s = self._clock()
            await FAULTS[planned.name].act(self._stack, planned)
            self.faults.append(Fault(planned.name, planned.target, began_s, self._clock()))


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
