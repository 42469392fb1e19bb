"""All tests: python -m tests.run. `--dry-run` shows the plan.

`PARTS` says what runs when: stages one after the other, in each its parts in their order, several side by side. What a
part prints goes to build/tests/<part>.log; progress is a line now and then; of a part that failed the end of its log is
shown, and the end is a table. Exit status 1 when a test failed, when a part ended without a report (a crash), or, with
CI=true, when something was left out. Ctrl-C and SIGTERM end the parts in order, and their stacks with them.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from deploy.embedded import apache_kafka, parent_death
from tests.support.outcomes import Outcome, one_line, read_outcome, table
from tests.support.stack import PART

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "tests"
# Where `make native` puts the compiled media path.
NATIVE = "build/native"
PROGRESS_S = 20.0
POLL_S = 0.2
# Of a part that failed.
SHOWN_LINES = 150
# A part that is told to end stops its stacks first. Raising it: one that hangs is killed later. Lowering it: a busy
# machine looks like that, and what is killed leaves its stacks to the kernel.
END_S = 200.0
# How many parts run side by side at most. Each of them waits a good part of its time, for leases, rings and timeouts:
# two quick cores are busy with four. Raising it: all wait for the processor, and give up sooner than what they wait for
# has come. Lowering it: the processor waits for them.
LANES = 4
# So many always do; one more begins only when the processor has time for it, so that a slow machine runs fewer. Raising
# it: there the browsers starve. Lowering it: a machine that was busy for a moment runs one part alone.
SURE_LANES = 2
# The share of the processor that whoever asks for it must get; and where browsers run already, for more of them.
# Raising it: a part more begins later. Lowering it: what runs already gives up waiting.
SPARE_SHARE, SPARE_SHARE_OF_BROWSERS = 0.5, 0.8
# How often it is asked, and for how many seconds of the processor.
ASK_S, SPIN_S = 10.0, 0.2
# How many million turns of an empty loop all cores do in a second where browsers and another part run beside each
# other; one quick core does 40 to 50. Raising it: a middling machine takes half as long again. Lowering it: on a slow
# one calls break off for want of pictures.
QUICK_MTURNS = 45.0
_TURNS = """
import time
began = time.perf_counter()
for _ in range(20_000_000):
    pass
print(20 / (time.perf_counter() - began))
"""


@dataclass(frozen=True)
class Part:
    """Tests that one process runs: those in `places` (patterns of paths) that `markers` (pytest's -m) chooses."""

    stage: int
    name: str
    places: tuple[str, ...]
    markers: str = ""
    # On the media path as it ships; on its sources where there is no C compiler.
    compiled: bool = False
    # Browsers encode and decode in it: on a slow machine one such part runs at a time.
    browsers: bool = False

    @property
    def report(self) -> Path:
        """Where its JUnit report goes."""
        return FOLDER / f"{self.name}.xml"

    @property
    def log(self) -> Path:
        """Where what it prints goes."""
        return FOLDER / f"{self.name}.log"

    @property
    def cwd(self) -> Path:
        """Where its process runs."""
        return ROOT

    def command(self, report: Path | None = None) -> list[str]:
        """What to run; without a report's path for reading, with patterns as the shell takes them."""
        places = self.places if report is None else _paths(self.places)
        native = ("-o", f"pythonpath={NATIVE}") if self.compiled and is_compiled() else ()
        chosen = ("-m", self.markers) if self.markers else ()
        reported = () if report is None else (f"--junitxml={report}",)
        return [sys.executable, "-m", "pytest", *native, *places, *chosen, *reported]


def _paths(places: Iterable[str]) -> Iterator[str]:
    return (str(path.relative_to(ROOT)) for place in places for path in sorted(ROOT.glob(place)))


def _unit(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/unit/{name}" for name in names)


class WebPart(Part):
    """The web client's tests, which are no pytest."""

    @property
    def cwd(self) -> Path:
        return ROOT / self.places[0]

    def command(self, report: Path | None = None) -> list[str]:
        reported = () if report is None else (f"--outputFile.junit={report}",)
        # The report says nothing of an error outside of all tests, which ends the run with status 1 too.
        return ["npm", "run", "test", "--", "--reporter=default", "--reporter=junit", *reported]


INTEGRATION = "tests/integration"
BROWSERS = "chromium or firefox"
# In each stage what takes longest or waits most comes first, so that all lanes end at about the same time. tests/unit/
# support/test_run.py checks that no test is forgotten.
PARTS = (
    # Without any server. Three processes: workers of one pytest would each collect all of it.
    WebPart(1, "web-units", (".",)),
    Part(1, "units-calls", _unit("sfu", "signaling", "test_*.py"), "not compiled"),
    Part(1, "units-services", _unit("messaging", "runtime", "previews", "gateway", "presence", "push", "webhooks")),
    Part(
        *(1, "units-around"),
        _unit("deploy", "docs", "faults", "support", "loadtests", "parley_client", "fuzz", "web", "ops"),
    ),
    Part(2, "browsers", ("tests/e2e",), browsers=True),
    Part(2, "shared-stack", (f"{INTEGRATION}/api", f"{INTEGRATION}/test_*.py")),
    Part(
        *(2, "calls"),
        tuple(f"{INTEGRATION}/{name}" for name in ("signaling", "presence", "webhooks", "push", "previews", "runtime")),
    ),
    Part(2, "replicated", (f"{INTEGRATION}/replicated",)),
    Part(2, "faults-outages", ("tests/faults",), "outages"),
    Part(2, "media", ("tests/unit/sfu", f"{INTEGRATION}/sfu"), f"not ({BROWSERS})", compiled=True),
    Part(2, "single-services", (f"{INTEGRATION}/messaging", f"{INTEGRATION}/outside")),
    Part(2, "faults-kills", ("tests/faults",), "not outages and not restarts"),
    Part(2, "faults-restarts", ("tests/faults",), "restarts"),
    Part(2, "media-browsers", (f"{INTEGRATION}/sfu",), BROWSERS, compiled=True, browsers=True),
    Part(2, "apart", (f"{INTEGRATION}/apart",)),
)


def stages(parts: Sequence[Part]) -> list[list[Part]]:
    """The parts by stage, in their order."""
    by_stage: dict[int, list[Part]] = {}
    for part in parts:
        by_stage.setdefault(part.stage, []).append(part)
    return list(by_stage.values())


def plan(parts: Sequence[Part]) -> str:
    """What would run, for reading."""
    lines = [f"{'stage':<7}{'part':<18}command"]
    lines += [f"{part.stage:<7}{part.name:<18}{_in_short(part)}" for part in parts]
    return "\n".join(lines)


def _in_short(part: Part) -> str:
    words = ["python" if word == sys.executable else word for word in part.command()]
    command = " ".join(word if word in part.places else shlex.quote(word) for word in words)
    return command if part.cwd == ROOT else f"cd {part.cwd.relative_to(ROOT)} && {command}"


def is_compiled() -> bool:
    """Whether the media path has been compiled."""
    return (ROOT / NATIVE / "compiled").exists()


def await_compiling() -> None:
    """Waits for the end of a compilation of the media path that is under way."""
    lock = ROOT / NATIVE / ".lock"
    if lock.exists():
        with lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_SH)


def replaced() -> Iterator[str]:
    """What tests run on in place of what is not here."""
    if not is_compiled():
        yield f"no C compiler when `make native` ran: the media path is tested on its sources, not on {NATIVE}"
    if lacking := apache_kafka.missing():
        yield f"no Apache Kafka, for want of {lacking}: the tests run on the small broker"


def is_quick() -> bool:
    """Whether browsers may have other tests beside them: by work that is counted, on all cores at once."""
    command = (sys.executable, "-I", "-S", "-c", _TURNS)
    loops = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(os.cpu_count() or 1)]
    mturns = sum(float(loop.communicate()[0]) for loop in loops)
    return mturns >= QUICK_MTURNS


def choose(
    waiting: Sequence[Part], running: Sequence[Part], spare: Callable[[], float], *, quick: bool = True
) -> Part | None:
    """Which of those that wait begins beside those that run; None when none should now. `spare` gives the share of the
    processor that one more would get. Where it is not quick, browsers have nothing beside them."""
    browsers = any(part.browsers for part in running)
    if running and not quick:
        waiting = [part for part in waiting if not part.browsers and not browsers]
    asks = [SPARE_SHARE_OF_BROWSERS if part.browsers and browsers else 0.0 for part in waiting]
    if len(running) >= SURE_LANES:
        asks = [max(share, SPARE_SHARE) for share in asks]
    has = spare() if asks and asks[0] else 1.0
    return next((part for part, share in zip(waiting, asks, strict=True) if share <= has), None)


class Spare:
    """What share of the processor one more would get, asked once in a while; 0 between."""

    def __init__(self) -> None:
        self._asked_at = time.monotonic()

    def __call__(self) -> float:
        began, used = time.monotonic(), time.process_time()
        if began - self._asked_at < ASK_S:
            return 0.0
        while time.process_time() - used < SPIN_S:
            pass
        self._asked_at = time.monotonic()
        return SPIN_S / (self._asked_at - began)


class Lane:
    """Runs one part after the other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.part: Part | None = None
        self._began = 0.0
        self.outcomes: list[Outcome] = []

    def is_at_work(self) -> bool:
        """Whether its part still runs. Tells of one that has just ended."""
        if self._process is None:
            return False
        cpu_s = _ended(self._process)
        if cpu_s is None:
            return True
        assert self.part
        status, seconds = self._process.returncode, time.monotonic() - self._began
        self.outcomes.append(read_outcome(self.part.name, self.part.report, status, seconds, cpu_s))
        say(one_line(self.outcomes[-1]))
        self._process = self.part = None
        return False

    def start(self, part: Part) -> None:
        """It is at nothing."""
        part.report.unlink(missing_ok=True)
        self.part, self._began = part, time.monotonic()
        # Also when we are killed, pytest ends as on Ctrl-C.
        with_us = (parent_death.__file__, str(os.getpid()), str(int(signal.SIGINT)), "-1", "-1")
        with part.log.open("wb") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-I", "-S", *with_us, *part.command(part.report)),
                cwd=part.cwd,
                env={**os.environ, PART: part.name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # So that all of it can be told to end, whatever npm passes on.
                process_group=0,
            )

    def tell_to_end(self) -> None:
        """As Ctrl-C does: what runs ends in order."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGINT)

    def await_end(self) -> None:
        """Waits for what was told to end; kills it when it does not."""
        if self._process is None:
            return
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def progress(self) -> str:
        """What it is at, and how far; empty when it is at nothing."""
        if self.part is None:
            return ""
        found = re.findall(rb"\[ *(\d+)%\]", self.part.log.read_bytes())
        return f"{self.part.name} {found[-1].decode() if found else '0'} %"


def _ended(process: subprocess.Popen[bytes]) -> float | None:
    """The CPU seconds that it took, and all that it waited for; None while it runs."""
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if pid == 0:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)  # noqa: T201


def _show_failure(part: Part) -> None:
    lines = part.log.read_text(errors="replace").splitlines()
    say(f"\n==== {part.name}: {_in_short(part)}\n" + "\n".join(lines[-SHOWN_LINES:]))


def _run_stage(lanes: Sequence[Lane], stage: Sequence[Part], began: float) -> None:
    said_at = time.monotonic()
    waiting, spare = list(stage), Spare()
    quick = not any(part.browsers for part in stage) or is_quick()
    if not quick:
        say("This machine is slow: browsers have nothing beside them.")
    while True:
        free = [lane for lane in lanes if not lane.is_at_work()]
        running = [lane.part for lane in lanes if lane.part]
        if not running and not waiting:
            return
        if free and (part := choose(waiting, running, spare, quick=quick)):
            waiting.remove(part)
            free[0].start(part)
            continue
        # Lanes are other processes, several at once: nothing here could wait for whichever ends first and still report.
        time.sleep(POLL_S)
        if time.monotonic() - said_at > PROGRESS_S:
            said_at = time.monotonic()
            say(f"{said_at - began:>5.0f} s  " + ", ".join(filter(None, (lane.progress() for lane in lanes))))


def main() -> int:
    """Gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description="Runs all tests.")
    parser.add_argument("--dry-run", action="store_true", help="show what would run, and run nothing")
    parser.add_argument("--lanes", type=int, default=LANES, help=f"how many run side by side at most (default {LANES})")
    names = [part.name for part in PARTS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"run these parts alone: {', '.join(names)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(names):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = [part for part in PARTS if not arguments.parts or part.name in arguments.parts]
    if arguments.dry_run:
        say("\n".join([plan(parts), *(f"LEFT OUT: {reason}" for reason in replaced())]))
        return 0
    return run(parts, arguments.lanes)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    """Ends us through every `finally`."""
    sys.exit(128 + number)


def run(parts: Sequence[Part], side_by_side: int = LANES) -> int:
    """Runs the parts and prints how it went; the exit status. For the main thread, since it takes signals."""
    # SIGINT too: a shell has its background jobs ignore it, and so would the parts.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _leave)
    FOLDER.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    began = time.monotonic()
    for stage in stages(parts):
        lanes = [Lane() for _ in range(side_by_side)]
        if stage[0].stage > 1:
            # CI compiles beside the first stage, which needs none of it.
            await_compiling()
        try:
            _run_stage(lanes, stage, began)
        finally:
            for lane in lanes:
                lane.tell_to_end()
            for lane in lanes:
                lane.await_end()
        outcomes += [outcome for lane in lanes for outcome in lane.outcomes]
    outcomes.sort(key=lambda outcome: [part.name for part in parts].index(outcome.name))
    failed = {outcome.name for outcome in outcomes if outcome.failed}
    for part in parts:
        if part.name in failed:
            _show_failure(part)
    left_out = [*replaced(), *_left_out(outcomes)]
    say("\n" + table(outcomes, left_out))
    return int(bool(failed) or (bool(left_out) and os.environ.get("CI") == "true"))


def _left_out(outcomes: Iterable[Outcome]) -> list[str]:
    tests: Counter[str] = sum((outcome.left_out for outcome in outcomes), Counter())
    return [f"{count} tests, because there is {reason}" for reason, count in sorted(tests.items())]


if __name__ == "__main__":
    sys.exit(main())
