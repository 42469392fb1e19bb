"""Faults of links, in a network of the run's own: nothing outside of it is touched, and nothing is left of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.faults.checker import links
from tests.faults.checker.links import Pair, Ports
from tests.faults.checker.stacks import CheckedStack, Planned, with_children
from tests.support.needs import PROGRAMS

# Set in the process that runs in a network of its own.
_ENTERED = "PARLEY_FAULT_NETWORK"
# Shorter ones pass unnoticed, longer ones are found by whatever looks for dead peers (20 to 30 s). Raising the second
# leaves a run fewer faults; lowering it tries no such limit of time.
LINK_S = (1.0, 25.0)
# Raising it makes TCP stand still for seconds at a time; lowering it, a few packets of a run are lost.
LOST_PERCENT = 10
# Of all connections of one process together, which carry some 30 kB/s. Raising it slows nobody down; lowering it makes
# a cut of it.
SLOW_BIT_PER_S = 128_000


def missing() -> str | None:
    """Why a run has no network of its own here; None when it can have one."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if PROGRAMS["nftables"].find() is None:
        return "no nftables here; .ci/nftables installs Debian's where it may"
    lacking = [program for program in ("unshare", "ip", "tc") if shutil.which(program) is None]
    return f"no {lacking[0]} here" if lacking else None


def enter(module: str, arguments: Sequence[str]) -> None:
    """Goes on as the same program in a network of its own, in which only loopback is; returns there."""
    if os.environ.get(_ENTERED) != "own":
        os.environ[_ENTERED] = "own"
        # In place of this process: its threads would stay outside.
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-m", module, *arguments])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # ICE gathers no loopback addresses (RFC 8445, section 5.1.1.1), so calls need another one. It is for documentation
    # (RFC 5737), and nobody's.
    subprocess.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"], check=True)


class Network:
    """The network that this process is in. Only for one of its own: see `enter`."""

    def __init__(self) -> None:
        self._nft = PROGRAMS["nftables"].find() or "nft"
        self._dead: set[Pair] = set()

    def tell(self, rules: str) -> None:
        """Has nft carry out what `links` says, all of it or nothing. Raises CalledProcessError."""
        subprocess.run([self._nft, "-f", "-"], input=rules, text=True, check=True, capture_output=True)

    def slow_down(self, bit_per_s: int) -> None:
        """Makes the class of slow links. Raises CalledProcessError."""
        for command in links.slow_queue(bit_per_s):
            subprocess.run(["tc", *command], check=True, capture_output=True)

    def let_pass(self) -> None:
        """Every link is as it was, but for dead connections."""
        self.tell(links.no_table(links.LINK))
        # There is none where no link was slow.
        subprocess.run(["tc", *links.NO_QUEUE], check=False, capture_output=True)

    def let_die(self, ports: Ports) -> None:
        """What is connected there now is dead from here on; what was dead, and is still open, stays so."""
        self._dead = self.still_dead() | links.connections_to(_read("tcp"), ports)
        self.tell(links.dead(self._dead))

    def still_dead(self) -> set[Pair]:
        """The dead connections that one of both sides has not given up yet. The others' ports may be used again."""
        known = Ports(tcp=tuple({port for port, _ in self._dead}))
        return self._dead & links.connections_to(_read("tcp"), known)

    def bury(self) -> set[Pair]:
        """As `still_dead`; from now on the ports of the others may be used again."""
        self._dead = self.still_dead()
        self.tell(links.dead(self._dead))
        return self._dead


def ports_of(pid: int) -> Ports:
    """Where a process and its children listen."""
    inodes: set[int] = set()
    for each in with_children(pid):
        for file in Path(f"/proc/{each}/fd").iterdir():
            # It may be closed meanwhile.
            with suppress(OSError):
                kind, _, number = str(file.readlink()).partition(":")
                if kind == "socket":
                    inodes.add(int(number.strip("[]")))
    return links.ports_of(_read("tcp"), _read("udp"), inodes)


def _read(protocol: str) -> str:
    names = (f"/proc/net/{protocol}", f"/proc/net/{protocol}6")
    return "".join(Path(name).read_text() for name in names if Path(name).exists())


# ---- The faults


async def cut(stack: CheckedStack, planned: Planned) -> None:
    """Nothing reaches the process, and nothing comes back."""
    await _while_told(stack, planned, links.cut(_ports(stack, planned)))


async def cut_towards(stack: CheckedStack, planned: Planned) -> None:
    """It hears nothing, but what it says is heard."""
    await _while_told(stack, planned, links.cut(_ports(stack, planned), back=False))


async def cut_back(stack: CheckedStack, planned: Planned) -> None:
    """It hears all, does what it is asked for, and nobody hears its answers."""
    await _while_told(stack, planned, links.cut(_ports(stack, planned), towards=False))


async def lose_packets(stack: CheckedStack, planned: Planned) -> None:
    """Some of its packets are lost, both ways."""
    await _while_told(stack, planned, links.lossy(_ports(stack, planned), LOST_PERCENT))


async def slow_down(stack: CheckedStack, planned: Planned) -> None:
    """All of its connections share a slow link, with a long queue before it."""
    _network(stack).slow_down(SLOW_BIT_PER_S)
    await _while_told(stack, planned, links.slow(_ports(stack, planned)))


async def let_connections_die(stack: CheckedStack, planned: Planned) -> None:
    """What is connected to it is forgotten on the way, as by a NAT or a load balancer that was replaced.

    Both sides believe in it until they find out, which may be after the fault: it never passes anything again.
    """
    network = _network(stack)
    network.let_die(_ports(stack, planned))
    await asyncio.sleep(planned.lasts_s)
    network.bury()


async def _while_told(stack: CheckedStack, planned: Planned, rules: str) -> None:
    network = _network(stack)
    try:
        network.tell(rules)
        await asyncio.sleep(planned.lasts_s)
    finally:
        network.let_pass()


def _ports(stack: CheckedStack, planned: Planned) -> Ports:
    return ports_of(stack.pids[planned.target])


def _network(stack: CheckedStack) -> Network:
    assert stack.network is not None, "the run has no network of its own, and links were drawn all the same"
    return stack.network
