"""CPU time of whole processes with their children, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: dict[str, int]) -> dict[str, float]:
    """User and system time by name: the process, its living descendants, and the children that it has reaped."""
    used, children = _read_all()
    return {name: _of_tree(pid, used, children) / _TICKS_PER_S for name, pid in pids.items()}


def used_since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What was used between two readings."""
    return {name: after[name] - before[name] for name in before}


def _of_tree(pid: int, used: dict[int, int], children: dict[int, list[int]]) -> int:
    return used.get(pid, 0) + sum(_of_tree(child, used, children) for child in children[pid])


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
