"""Samples of the worker's stacks while a part of the bench runs: py-spy, which sees C's frames beside Python's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from loadtests.sfu_media.attribution import shares_of

# Each sample stops the worker for some 4 ms. Raising it shows how the worker runs when it is stopped so often; lowering
# it takes fewer samples, with coarser shares.
RATE_HZ = 40
# What it takes to write the samples down.
_STOP_S = 20.0


def find_py_spy() -> str | None:
    """The one beside our Python, or on the PATH."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("py-spy", path=os.pathsep.join((beside, os.environ.get("PATH", os.defpath))))


class Sampler:
    """Samples a process inside its `with`. The stacks go to a file, folded; `report` then says what they show."""

    def __init__(self, pid: int, folded: Path, program: str | None) -> None:
        """`program`: py-spy; None where there is none."""
        self._pid = pid
        self._folded = folded
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.report: dict[str, Any] = _missing("py-spy is not installed: run `make setup`")

    @property
    def _log(self) -> Path:
        return self._folded.with_suffix(".log")

    def __enter__(self) -> Sampler:
        if self._program is not None:
            self._folded.parent.mkdir(parents=True, exist_ok=True)
            self._folded.unlink(missing_ok=True)
            options = ("--native", "--nolineno", "--format", "raw", "--rate", str(RATE_HZ), "--duration", "600")
            command = (self._program, "record", *options, "--pid", str(self._pid), "--output", str(self._folded))
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self.report = self._read(self._process.returncode)

    def _read(self, status: int) -> dict[str, Any]:
        if status != 0 or not self._folded.exists():
            said = " ".join(self._log.read_text(errors="replace").split())
            return _missing(f"py-spy could not sample the worker (status {status}): {said[:300]}")
        shares, samples = shares_of(self._folded.read_text().splitlines())
        return {"limits": shares, "limits_samples": samples} if samples else _missing("no sample saw the worker busy")


def _missing(why: str) -> dict[str, Any]:
    return {"limits": None, "limits_missing": why}
