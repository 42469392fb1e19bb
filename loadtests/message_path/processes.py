"""What whole processes with their children take, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: dict[str, int]) -> dict[str, float]:
    """User and system time by name: the process, its living descendants, and the children that it has reaped."""
    used, children = _read_all()
    return {name: _of_tree(pid, used, children) / _TICKS_PER_S for name, pid in pids.items()}


def wakeups(pids: dict[str, int]) -> dict[str, float]:
    """How often a thread of the process, or of a living descendant, has gone to sleep of itself, by name."""
    _, children = _read_all()
    return {name: float(_woken(pid, children)) for name, pid in pids.items()}


def memory_kib(pid: int) -> int:
    """What the process alone takes, and its share of what it shares (proportional set size)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss")


def memory_of_trees_kib(pids: dict[str, int]) -> dict[str, int]:
    """By name: the proportional set size of the process and its living descendants."""
    _, children = _read_all()
    return {name: _memory_of_tree(pid, children) for name, pid in pids.items()}


def used_since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What was used between two readings."""
    return {name: after[name] - before[name] for name in before}


def _woken(pid: int, children: dict[int, list[int]]) -> int:
    own = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for line in status.read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    own += int(line.split()[1])
    return own + sum(_woken(child, children) for child in children[pid])


def _of_tree(pid: int, used: dict[int, int], children: dict[int, list[int]]) -> int:
    return used.get(pid, 0) + sum(_of_tree(child, used, children) for child in children[pid])


def _memory_of_tree(pid: int, children: dict[int, list[int]]) -> int:
    own = 0
    # One that has just ended, or is about to, has none.
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        own = memory_kib(pid)
    return own + sum(_memory_of_tree(child, children) for child in children[pid])


def _read_all() -> tuple[dict[int, int], dict[int, list[int]]]:
    used: dict[int, int] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The name, in brackets, may hold anything; the fields after it are counted from the state on (proc(5)).
        fields = text.rpartition(")")[2].split()
        pid = int(folder.name)
        children[int(fields[1])].append(pid)
        used[pid] = sum(int(ticks) for ticks in fields[11:15])
    return used, children
