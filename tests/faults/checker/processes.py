"""Faults of processes and of their hosts: they end, stand still, are replaced, and lose what they had."""

from __future__ import annotations

import asyncio
import os
import signal

from deploy.embedded.logs import LogSink
from loadtests.disasters.postgres import Server, become_primary
from tests.faults.checker.stacks import CheckedStack, Planned, with_children

# From the end of one fault to the beginning of the next, in seconds.
REST_S = (1.0, 5.0)
PAUSE_S = (0.5, 8.0)


CONTROL_PLANE = ("messaging", "presence", "gateway", "signaling")


async def kill(stack: CheckedStack, planned: Planned) -> None:
    """kill -9: it is started anew. The small broker comes back empty."""
    await stack.end(planned.target, signal.SIGKILL)


async def restart(stack: CheckedStack, planned: Planned) -> None:
    """It is asked to end, drains, and is started anew."""
    await stack.end(planned.target, signal.SIGINT if planned.target == "postgres" else signal.SIGTERM)


async def kill_twice(stack: CheckedStack, planned: Planned) -> None:
    """And once more as soon as it is back."""
    await stack.end(planned.target, signal.SIGKILL)
    await stack.end(planned.target, signal.SIGKILL)


async def pause(stack: CheckedStack, planned: Planned) -> None:
    """It stands still with all its children: it neither answers nor ends."""
    stopped: list[int] = []
    try:
        for pid in with_children(stack.pids[planned.target]):
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)
        await asyncio.sleep(planned.lasts_s)
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


async def roll(stack: CheckedStack, planned: Planned) -> None:
    """A rolling update: all replicas of a service are replaced, one after the other."""
    service = planned.target.split("-")[0]
    for name in sorted(stack.pids):
        if name.split("-")[0] == service:
            await stack.end(name, signal.SIGTERM)


async def lose_control_plane(stack: CheckedStack, _: Planned) -> None:
    """Everything but the media and the database is killed at once."""
    names = [name for name in stack.pids if name.split("-")[0] in CONTROL_PLANE]
    old_pids = {name: stack.running.kill(name) for name in names}
    for name, pid in old_pids.items():
        await stack.until_started_anew(name, pid)


async def step_clock(stack: CheckedStack, planned: Planned) -> None:
    """The host's wall clock is an hour ahead, or behind, for a while."""
    file = stack.folder / str(stack.pids[planned.target])
    hours = 1 if planned.rest_s > sum(REST_S) / 2 else -1
    file.write_text(str(3600 * hours))
    await asyncio.sleep(planned.lasts_s)
    file.unlink()


async def fail_over(stack: CheckedStack, planned: Planned) -> None:
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
        for pid in with_children(old_pid):
            os.kill(pid, signal.SIGSTOP)
    sink.close()
    await asyncio.to_thread(become_primary, standby / "data")
    (home / "data").rename(home / f"lost-to-{standby.name}")
    (standby / "data").rename(home / "data")
    # Its children die with the process group, which the supervisor sweeps.
    os.kill(old_pid, signal.SIGKILL)
    await stack.until_started_anew("postgres", old_pid)


async def lose_data(stack: CheckedStack, planned: Planned) -> None:
    """The broker's host is gone with its disk: another one comes, with an empty one."""
    folder = stack.running.folder / "kafka"
    old_pid = stack.pids[planned.target]
    # What stands still writes nothing into what is moved away.
    os.kill(old_pid, signal.SIGSTOP)
    (folder / "data").rename(folder / f"lost-{planned.rest_s:.6f}")
    os.kill(old_pid, signal.SIGKILL)
    await stack.until_started_anew(planned.target, old_pid)
