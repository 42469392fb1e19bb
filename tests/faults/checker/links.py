"""What is done to the link of one process, as nft and tc are told it, and what /proc says of its ports. Pure.

All of a stack talks over loopback, where a process is known by the ports that it listens on: its link is what comes
to these ports and what goes from them. What it asks of others itself goes by the others' links.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

# The tables of ours: of a fault that lasts, and of connections that stay dead after theirs.
LINK = "parley_link"
DEAD = "parley_dead"
# The class of a link that is slow, within the queue of loopback.
SLOW_CLASS = "1:4"
_LISTENS, _ESTABLISHED, _UNCONNECTED = "0A", "01", "07"


@dataclass(frozen=True)
class Ports:
    """Where one process listens."""

    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()


@dataclass(frozen=True)
class Socket:
    """A line of /proc/net/tcp or udp."""

    port: int
    peer_port: int
    state: str
    inode: int


# A server's port and its client's.
Pair = tuple[int, int]


# ---- What /proc says


def sockets(text: str) -> Iterator[Socket]:
    """The sockets of /proc/net/tcp, tcp6, udp or udp6; of several of them one after the other, too."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[0].endswith(":"):
            _, local, remote, state, *_ = fields
            yield Socket(_port(local), _port(remote), state, int(fields[9]))


def ports_of(tcp: str, udp: str, inodes: Collection[int]) -> Ports:
    """Where a process listens that has these sockets open."""
    return Ports(
        tuple(sorted({one.port for one in sockets(tcp) if one.state == _LISTENS and one.inode in inodes})),
        tuple(sorted({one.port for one in sockets(udp) if one.state == _UNCONNECTED and one.inode in inodes})),
    )


def connections_to(tcp: str, ports: Ports) -> set[Pair]:
    """What is connected to these ports, by the sockets of either side: one of them may be gone already."""
    established = [one for one in sockets(tcp) if one.state == _ESTABLISHED]
    return {(one.port, one.peer_port) for one in established if one.port in ports.tcp} | {
        (one.peer_port, one.port) for one in established if one.peer_port in ports.tcp
    }


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


# ---- What nft is told. What comes is dropped and not what goes, of which the sender would be told.


def cut(ports: Ports, *, towards: bool = True, back: bool = True) -> str:
    """Nothing passes: towards the process, back from it, or both."""
    return _table(LINK, "input", "filter", _each(ports, "drop", towards=towards, back=back))


def lossy(ports: Ports, percent: int) -> str:
    """Some packets are lost, both ways."""
    return _table(LINK, "input", "filter", _each(ports, f"numgen random mod 100 < {percent} drop"))


def slow(ports: Ports) -> str:
    """What comes and goes passes by the class that tc makes slow."""
    return _table(LINK, "output", "mangle", _each(ports, f"meta priority set {SLOW_CLASS}"))


def dead(pairs: Iterable[Pair]) -> str:
    """Nothing passes on these connections any more, and nobody says so; new ones can be made."""
    listed = ", ".join(f"{port} . {peer}" for port, peer in sorted(pairs))
    if not listed:
        return no_table(DEAD)
    return _table(
        DEAD,
        "input",
        "filter",
        [f"tcp {way} {{ {listed} }} drop" for way in ("dport . tcp sport", "sport . tcp dport")],
    )


def no_table(name: str) -> str:
    """All as it was; also where there is no such table."""
    return f"table inet {name}\ndelete table inet {name}\n"


def _each(ports: Ports, what: str, *, towards: bool = True, back: bool = True) -> list[str]:
    ways = [way for way, is_meant in (("dport", towards), ("sport", back)) if is_meant]
    return [
        f"{protocol} {way} {{ {', '.join(map(str, numbers))} }} {what}"
        for protocol, numbers in (("tcp", ports.tcp), ("udp", ports.udp))
        for way in ways
        if numbers
    ]


def _table(name: str, hook: str, priority: str, rules: Iterable[str]) -> str:
    lines = [f"type filter hook {hook} priority {priority}; policy accept;", *rules]
    body = "\n".join(f"    {line}" for line in lines)
    return f"{no_table(name)}table inet {name} {{\n  chain {hook} {{\n{body}\n  }}\n}}\n"


# ---- What tc is told. The kernel may have no classifier: nft chooses the class, and all else passes as before.


def slow_queue(bit_per_s: int) -> list[list[str]]:
    """The commands that give loopback a class of that rate."""
    rate = ["rate", f"{bit_per_s}bit", "burst", "16k", "cburst", "16k"]
    return [
        ["qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb"],
        ["class", "add", "dev", "lo", "parent", "1:", "classid", SLOW_CLASS, "htb", *rate],
    ]


NO_QUEUE = ["qdisc", "del", "dev", "lo", "root"]
