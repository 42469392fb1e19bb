"""Runs a command that must not outlive its supervisor.

Run as a script, before anything of Parley is imported:
`python -I -S parent_death.py <supervisor pid> <signal> <uid> <gid> <command> ...` (uid and gid -1: unchanged).
The kernel sends the signal when the supervisor dies, however it dies: a SIGKILL leaves no orphan. The request must come
after the change of user, which clears it (prctl(2), PR_SET_PDEATHSIG). Where the kernel knows no such request the
command runs without it.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Drops privileges, asks for the signal, and becomes the command."""
    supervisor_pid, death_signal, uid, gid = (int(argument) for argument in arguments[:4])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    # The supervisor may have died before the request was in place.
    if os.getppid() != supervisor_pid:
        sys.exit(1)
    os.execvp(arguments[4], arguments[4:])  # noqa: S606 - running the given command is what this is for


if __name__ == "__main__":
    main(sys.argv[1:])
