"""Programs that outlive who started them, each with a file that says which process it is."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.cluster.errors import ClusterError

# How long a program has to end by itself. Raising it: who hangs holds everybody up. Lowering it: a store is cut off.
_END_WITHIN_S = 10.0
_STEP_S = 0.1
# Of /proc/<pid>/stat, after the name: state, and start in ticks since the machine's (proc(5), fields 3 and 22).
_STATE, _STARTED = 0, 19


class Processes:
    """Those of one cluster. `folder` has a file for each, with its process id and start: ids are used again."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._logs = logs

    def start(self, name: str, command: Sequence[str], env: dict[str, str] | None = None) -> None:
        """Starts it unless it runs."""
        if self.runs(name):
            return
        for folder in (self._folder, self._logs):
            folder.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=env
            )
        started = _stat(process.pid)
        if started is None:
            raise ClusterError(f"{name} ended at once: see {self._logs / name}.log")
        (self._folder / name).write_text(f"{process.pid} {started[_STARTED]}")

    def runs(self, name: str) -> bool:
        """Whether the very process that was started is still there."""
        return self._pid(name) is not None

    def names(self) -> list[str]:
        """Those that were started and not stopped."""
        return sorted(path.name for path in self._folder.glob("*"))

    def stop(self, name: str) -> None:
        """Ends it; kills it when it does not end in time. Idempotent."""
        ends_s = time.monotonic() + _END_WITHIN_S
        number = signal.SIGTERM
        while (pid := self._pid(name)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if time.monotonic() > ends_s:
                number = signal.SIGKILL
            # An earlier command started it, so that it is no child of ours: nothing here is told when it ends.
            time.sleep(_STEP_S)
        (self._folder / name).unlink(missing_ok=True)

    def tail(self, name: str, lines: int = 5) -> str:
        """The end of its log."""
        path = self._logs / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def _pid(self, name: str) -> int | None:
        try:
            pid, started = (self._folder / name).read_text().split()
        except (OSError, ValueError):
            return None
        found = _stat(int(pid))
        return int(pid) if found is not None and found[_STARTED] == started else None


def _stat(pid: int) -> list[str] | None:
    """None for who is gone, or is only waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in ("Z", "X") else fields
