"""The embedded stack for tests: the same command as `make run`, on free ports and with data of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

from aiokafka.errors import KafkaError

from deploy.embedded import parent_death
from deploy.embedded.record import ROOT, StackRecord, read_record
from parley_client.waiting import Progress
from tests.support.headers import keep_headers
from tests.support.waiting import PATIENCE_S, poll

# It lets each service drain. Raising it: one that hangs is found later. Lowering it: a busy machine looks like that.
STOP_TIMEOUT_S = 180.0
# More than a stack says until it runs: what is logged beyond is no progress.
START_LOG_BYTES = 2**20
# More than a stack computes until it runs. Java says nothing meanwhile, and on a busy machine it takes minutes.
START_CPU_S = 240
# A process that hangs tells nothing.
SCRAPE_TIMEOUT_S = 5.0
# Each part of a whole run has a folder of its own, since they run side by side.
PART = "PARLEY_TEST_PART"
LOGS = ROOT / "build" / "test-logs" / os.environ.get(PART, "")
# Linux keeps in memory what stands there. PostgreSQL makes some 500 files for a database like messaging: 0.36 s of CPU
# on a disk (ext4, 30 November 2026), 0.03 there.
MEMORY = Path("/dev/shm")
# A stack of stores takes one or two. Raising it leaves smaller machines on their disks; lowering it may fill it.
MIN_MEMORY_BYTES = 6 * 2**30


class RunningStack:
    """A stack in a process of its own. Its record follows restarts."""

    def __init__(self, process: subprocess.Popen[bytes], record_path: Path, log: Path, logged_before: int) -> None:
        self._process = process
        self._record_path = record_path
        self._log = log
        # By stacks of the same name that ran before this one.
        self._logged_before = logged_before

    @property
    def folder(self) -> Path:
        """Where its data are."""
        return self._record_path.parent

    @property
    def record(self) -> StackRecord:
        """The stack as it runs now."""
        record = read_record(self._record_path)
        if record is None:
            raise AssertionError(f"the stack does not run any more:\n{self._output()}")
        return record

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Ends one process, which is then started anew, and returns the pid that it had."""
        pid = self.record.pids[name]
        os.kill(pid, how)
        return pid

    def wait_for_restart(self, name: str, old_pid: int, timeout_s: float = PATIENCE_S) -> None:
        """Waits until the named process runs again, and is ready, under another pid."""
        poll(
            lambda: self.record.pids.get(name, old_pid) != old_pid,
            timeout_s,
            lambda: f"{name} was not restarted, and nothing moved for {timeout_s} s:\n{self._output()}",
            self.progress(),
        )

    def progress(self) -> Progress:
        """What moves while processes start, from now on: what they log and what they compute, as far as starts do."""
        before, before_s = logged_bytes(self._log.parent), computed_s(self._process.pid)
        return lambda: (
            min(START_LOG_BYTES, logged_bytes(self._log.parent) - before),
            min(START_CPU_S, computed_s(self._process.pid) - before_s),
        )

    def _await_start(self) -> None:
        poll(
            lambda: read_record(self._record_path) is not None or self._process.poll() is not None,
            PATIENCE_S,
            lambda: f"the stack did not start:\n{self._output()}",
            lambda: (self._logged_bytes(), min(START_CPU_S, computed_s(self._process.pid))),
        )
        if self._process.poll() is not None:
            raise AssertionError(f"the stack did not start:\n{self._output()}")

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"the stack did not stop in time:\n{self._output()}") from None

    def _logged_bytes(self) -> int:
        """How much its processes have said while it starts."""
        return min(START_LOG_BYTES, logged_bytes(self._log.parent) - self._logged_before)

    def _output(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]


@contextmanager
def run_stack(
    name: str,
    *,
    parts: tuple[str, ...] = (),
    replicas: Mapping[str, int] | None = None,
    env: Mapping[str, str] | None = None,
    programs: Mapping[str, str] | None = None,
    part_env: Mapping[str, Mapping[str, str]] | None = None,
    on_disk: bool = False,
) -> Iterator[RunningStack]:
    """A stack for the length of the block; all parts unless some are named, one replica where nothing is said.

    `env` is for all processes, `part_env` for those of one part. Its logs stay in `LOGS`/<name>. Its data are in
    memory where there is room for them, unless `on_disk`: what is killed loses nothing in either.
    """
    options = ["--parts", ",".join(parts)] if parts else []
    if replicas:
        options += ["--replicas", ",".join(f"{service}={count}" for service, count in replicas.items())]
    if programs:
        options += ["--programs", ",".join(f"{service}={module}" for service, module in programs.items())]
    for part, more in (part_env or {}).items():
        options += [option for pair in more.items() for option in ("--env", f"{part}:{'='.join(pair)}")]
    where = None if on_disk else _memory()
    with tempfile.TemporaryDirectory(prefix=f"parley-{os.getpid()}-", dir=where) as folder:
        yield from _run_in(Path(folder), name, options, env or {})


def _memory() -> Path | None:
    """A folder in memory; None where there is too little."""
    if not MEMORY.is_dir():
        return None
    for left in MEMORY.glob("parley-*-*"):
        # Of a run that was killed.
        if not Path(f"/proc/{left.name.split('-')[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return MEMORY if shutil.disk_usage(MEMORY).free >= MIN_MEMORY_BYTES else None


def _run_in(folder: Path, name: str, options: Sequence[str], env: Mapping[str, str]) -> Iterator[RunningStack]:
    logs = LOGS / name
    logs.mkdir(parents=True, exist_ok=True)
    record_path = folder / "stack.json"
    command = [
        # A test run that is killed leaves no stack behind.
        *(sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), str(int(signal.SIGTERM)), "-1", "-1"),
        *(sys.executable, "-m", "deploy.embedded", "run", "--quiet", "--folder", str(folder)),
        *("--record", str(record_path), "--log-folder", str(logs)),
        *options,
    ]
    free_ports = {"PARLEY_PORT_EDGE": "0", "PARLEY_PORT_MEDIA": "0"}
    output = logs / "stack.log"
    output.unlink(missing_ok=True)
    logged_before = logged_bytes(logs)
    with output.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **free_ports, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C at the terminal reaches pytest, which then stops the stack in good order.
            start_new_session=True,
        )
    stack = RunningStack(process, record_path, output, logged_before)
    try:
        stack._await_start()
        yield stack
    finally:
        _keep_metrics(record_path, logs)
        _keep_headers(record_path, logs)
        stack._stop()


def logged_bytes(folder: Path) -> int:
    """How much has been logged there so far."""
    return sum(log.stat().st_size for log in folder.rglob("*.log"))


def computed_s(pid: int) -> int:
    """How many seconds of a core a process has had, with all that it started; 0 where there is none."""
    try:
        # After the name, which may hold anything: utime, stime, and those of children that have ended.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15])) // os.sysconf("SC_CLK_TCK") + sum(map(computed_s, map(int, children)))


def _keep_metrics(record_path: Path, logs: Path) -> None:
    """What the stack's processes tell Prometheus, beside their logs, for canary.py to search."""
    record = read_record(record_path)
    for name, address in record.metrics_addresses.items() if record else ():
        # A test may have left a process dead.
        with suppress(OSError), urlopen(f"http://{address}/metrics", timeout=SCRAPE_TIMEOUT_S) as answer:
            (logs / f"metrics-{name}.log").write_bytes(answer.read())


def _keep_headers(record_path: Path, logs: Path) -> None:
    """The headers of all records beside the logs too. In a thread: the tests' loop may be at work in this one."""
    record = read_record(record_path)
    if record is not None and record.kafka_bootstrap:
        with suppress(OSError, KafkaError), ThreadPoolExecutor(1) as thread:
            thread.submit(keep_headers, record.kafka_bootstrap, logs / "headers.log").result()
